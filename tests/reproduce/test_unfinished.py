"""The committed states of unfinished trainings: each belongs to its spec as it is now, and its result is missing."""

import pathlib

import pytest

from maml_tf.experiments.run import run_directory_of
from maml_tf.experiments.spec import read_spec

REPRODUCE = pathlib.Path(__file__).resolve().parents[2] / "reproduce"
STATES = sorted((REPRODUCE / "unfinished").glob("*/*/*/state.npz"))


@pytest.mark.parametrize("path", STATES, ids=lambda path: path.parts[-4])
def test_a_committed_state_can_be_resumed(path):
    name, folder, seed_folder = path.parts[-4:-1]
    spec = read_spec(REPRODUCE / "specs" / f"{name}.yaml", folder.split("-")[0])
    seed = int(seed_folder.removeprefix("seed_"))
    assert seed in spec.seeds
    run_dir = run_directory_of(spec, seed, REPRODUCE / "unfinished")
    assert run_dir.state_file == path, "trained from another version of the spec"
    saved = run_dir.read()
    assert 0 < saved.iteration <= spec.iterations
    if saved.iteration == spec.iterations:  # trained to its end: then its test is under way
        assert list(path.parent.glob("test_parts/*/*.npz"))
    assert saved.trained_at
    assert not (REPRODUCE / "results" / f"{name}.json").exists(), "finished: the state is not needed any more"
