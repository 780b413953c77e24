"""Trainings brought back from another machine give what the same training here gives."""

import dataclasses
import shutil

import pytest
import tensorflow as tf
from helpers import share_loops
from small_experiment import IMPLEMENTATION, NAME, small_spec

from maml_tf.errors import UsageError
from maml_tf.experiments.few_shot_spec import FewShotSpec
from maml_tf.experiments.partial import evaluate_half
from maml_tf.experiments.results import read_result
from maml_tf.experiments.run import build_experiment, train_and_evaluate
from maml_tf.export.importer import import_run
from maml_tf.export.jax_runner.package import Package
from maml_tf.export.jax_runner.training import Training
from maml_tf.export.spec_package import export_spec
from maml_tf.training import train
from maml_tf.training.adam import Adam, TrainingState

PLACE = {"hardware": "NVIDIA H200", "runtime": "jax 0.11.2"}
pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(autouse=True, scope="module")
def shared_loops():
    """The small experiments of one seed differ in nothing that a loop knows."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_loops(monkeypatch, lambda learner, tasks: (learner.step_size, learner.num_steps))
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """exported(spec, folder): the package of a spec, written once and copied."""
    packages = {}

    def export(spec, folder):
        key = spec.hash, spec.seeds
        if key not in packages:
            packages[key] = tmp_path_factory.mktemp("package")
            tf.config.run_functions_eagerly(False)  # the loop that is exported must be traced
            export_spec(spec, folder=packages[key], data_folder=None)
            tf.config.run_functions_eagerly(True)
        shutil.copytree(packages[key], folder, dirs_exist_ok=True)
        return folder / spec.name

    return export


@pytest.fixture(autouse=True)
def small_experiment(monkeypatch):
    monkeypatch.setattr(FewShotSpec, "implementation", IMPLEMENTATION)


def spec_of(seeds=(1, 2), iterations=6, **meta):
    return dataclasses.replace(small_spec(seeds, iterations, **meta), iterations_asked=6)


@pytest.fixture
def trained_elsewhere(exported):
    """trained_elsewhere(spec, tmp_path, iterations) -> the snapshots.

    What the runner leaves after these iterations of each seed; computed by TensorFlow, to be equal in bits.
    """

    def trained(spec, tmp_path, iterations):
        package = exported(spec, tmp_path / f"package-{spec.hash}")
        for seed in spec.seeds:
            training = Training(Package(package), seed, tmp_path / "snapshots")
            experiment = build_experiment(spec, seed, None)
            loop = train.compiled_loop(
                experiment.learner,
                experiment.tasks,
                Adam(spec.meta.learning_rate),
                batch_size=spec.meta.batch_size,
                seed=(seed, 0),
            )
            state = TrainingState.start(experiment.learner.initial_params())
            training.places = [PLACE]
            for done in range(2, iterations + 1, 2):
                state, loss = loop(state, tf.constant(2))
                training.arrays = tf.nest.flatten(state)
                training.losses.append([done, float(loss)])
                training.write()
        return tmp_path / "snapshots"

    return trained


def options_for(tmp_path, name):
    folders = {f"{kind}_folder": tmp_path / name / kind for kind in ("runs", "results", "weights")}
    return folders | {"data_folder": None, "command": "a test"}


def test_snapshots_give_the_result_of_a_training_here(tmp_path, trained_elsewhere):
    spec = spec_of()
    here = train_and_evaluate(spec, **options_for(tmp_path, "here"))
    snapshots = trained_elsewhere(spec, tmp_path, 6)
    there = import_run(spec, snapshots_folder=snapshots, **options_for(tmp_path, "there"))
    for field in ("profile", "seeds", "iterations_done", "targets", "curves", "spec_hash", "weights", "data"):
        assert getattr(there, field) == getattr(here, field), field
    assert there.counts
    for seed in ("seed_1", "seed_2"):
        assert there.settings[seed]["best_iteration"] == here.settings[seed]["best_iteration"]
        assert there.settings[seed]["trained_on"] == "NVIDIA H200"
        assert there.settings[seed]["trained_with"] == "jax 0.11.2"
    assert there.hardware == f"trained on NVIDIA H200; tested on {here.hardware}"
    assert read_result(tmp_path / "there" / "results" / f"{NAME}.json").curves == here.curves
    # again: what is validated is not validated again, and one seed can be taken alone
    again = import_run(spec, snapshots_folder=snapshots, **options_for(tmp_path, "there"))
    assert (again.curves, again.settings["seed_1"]["package"]) == (there.curves, there.settings["seed_1"]["package"])
    alone = import_run(spec, snapshots_folder=snapshots, seeds=[2], **options_for(tmp_path, "there"))
    assert alone.seeds == (2,)
    assert alone.curves["1_shot"].per_seed == there.curves["1_shot"].per_seed[1:]
    # the runs folder keeps to one training
    other = spec_of(seeds=(1,))
    train_and_evaluate(other, **options_for(tmp_path, "taken"))
    with pytest.raises(UsageError, match=r"seed_1 holds another training of this spec and seed; remove it"):
        import_run(spec, snapshots_folder=snapshots, **options_for(tmp_path, "taken"))


def test_a_training_that_stopped_early_counts_as_partial(tmp_path, trained_elsewhere):
    spec = spec_of(seeds=(1,))
    snapshots = trained_elsewhere(spec, tmp_path, 4)
    result = import_run(spec, snapshots_folder=snapshots, **options_for(tmp_path, "there"))
    assert (result.profile, result.iterations_done, result.iterations_asked) == ("partial", 4, 6)
    assert not result.counts
    assert result.weights == {}
    shorter = train_and_evaluate(spec_of(seeds=(1,), iterations=4), **options_for(tmp_path, "here"))
    assert result.curves == shorter.curves
    assert read_result(tmp_path / "there" / "results" / "partial" / f"{NAME}.json").curves == result.curves


def test_the_half_way_mark_of_a_training_elsewhere_is_that_of_a_training_here(tmp_path, trained_elsewhere):
    spec = small_spec(seeds=(1,), iterations=8)
    train_and_evaluate(spec, **options_for(tmp_path, "here"))
    here = evaluate_half(spec, **options_for(tmp_path, "here"))
    for reached in (4, 8):  # stopped at the mark, and trained to the end
        snapshots = trained_elsewhere(spec, tmp_path / str(reached), reached)
        there = import_run(spec, snapshots_folder=snapshots, half=True, **options_for(tmp_path, f"there {reached}"))
        for field in ("profile", "iterations_done", "iterations_asked", "targets", "curves", "weights"):
            assert getattr(there, field) == getattr(here, field), field
        assert there.history["seed_1"]["validations"] == here.history["seed_1"]["validations"]
        assert there.history["seed_1"]["losses"][-1][0] == 4
        assert (there.profile, there.iterations_done) == ("half", 4)
    snapshots = trained_elsewhere(spec, tmp_path / "2", 2)
    with pytest.raises(UsageError, match="seed_1: stopped at iteration 2 of 4"):
        import_run(spec, snapshots_folder=snapshots, half=True, **options_for(tmp_path, "there 2"))


def test_a_longer_partial_result_stays(tmp_path, capsys):
    options = options_for(tmp_path, "here")
    longer = dataclasses.replace(spec_of(seeds=(1,), iterations=4), profile="cpu")
    train_and_evaluate(longer, **options)
    path = tmp_path / "here" / "results" / "partial" / f"{NAME}.json"
    kept = path.read_bytes()
    shorter = dataclasses.replace(spec_of(seeds=(1,), iterations=2), profile="cpu")
    assert train_and_evaluate(shorter, **options).iterations_done == 2
    assert path.read_bytes() == kept
    assert f"{NAME}.json stays, it has more iterations than 2; remove it to replace it" in capsys.readouterr().err
    path.write_text("damaged")
    train_and_evaluate(shorter, **options)
    assert read_result(path).iterations_done == 2
    train_and_evaluate(longer, **options)
    assert read_result(path).iterations_done == 4


def test_what_is_missing_or_of_another_spec_is_named(tmp_path, trained_elsewhere):
    spec, options = spec_of(), options_for(tmp_path, "there")
    with pytest.raises(UsageError, match=rf"{NAME}: no training of the seeds any: .* seed_<n> for n = none"):
        import_run(spec, snapshots_folder=tmp_path, **options)
    snapshots = trained_elsewhere(spec_of(seeds=(1,)), tmp_path, 6)
    with pytest.raises(UsageError, match=r"no training of the seeds 2: there are folders seed_<n> for n = 1"):
        import_run(spec, snapshots_folder=snapshots, seeds=[2], **options)
    with pytest.raises(UsageError, match=rf"state.npz: trained from {NAME} \(profile paper, hash \w+\)"):
        import_run(spec_of(batch_size=4), snapshots_folder=snapshots, **options)
    folder = snapshots / NAME
    (folder / "seed_1" / "snapshot_0000002.npz").unlink()
    with pytest.raises(UsageError, match=r"snapshot_0000002.npz: no weights can be read from it"):
        import_run(spec, snapshots_folder=snapshots, **options)
    for content in (b"not an archive", b""):
        (folder / "seed_1" / "state.npz").write_bytes(content)
        with pytest.raises(UsageError, match=r"state.npz: not a state that the runner wrote"):
            import_run(spec, snapshots_folder=snapshots, **options)
    assert not (tmp_path / "there" / "results").exists()
