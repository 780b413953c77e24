"""The test of the supervised baselines, killed in the middle and gone on with."""

import dataclasses
import pathlib

import numpy as np
import pytest
from helpers import small_images
from synthetic_data import FEW_IMAGES, write_mini_imagenet

from maml_tf.experiments import supervised
from maml_tf.experiments.run import build_experiment, run_directory_of, train_and_evaluate
from maml_tf.experiments.spec import read_spec
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory

pytestmark = pytest.mark.usefixtures("eagerly")
SPEC = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs" / "miniimagenet_5way_baselines.yaml"
SIDE = 20  # pixels of an image, in place of 84


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")

    def noise(split, classes):
        return np.random.default_rng(len(split)).integers(0, 256, (classes, FEW_IMAGES, SIDE, SIDE, 3), np.uint8)

    write_mini_imagenet(folder, noise)
    return folder


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    small_images(monkeypatch, FEW_IMAGES, SIDE)
    monkeypatch.setattr(supervised, "STATISTICS_BATCHES", 1)
    monkeypatch.setattr(supervised, "STATISTICS_BATCH", 8)


def small_spec():
    """Two settings to choose from, few tasks and filters."""
    spec = read_spec(SPEC, "smoke")
    return dataclasses.replace(
        spec,
        tasks=dataclasses.replace(spec.tasks, test_queries=1),
        model=dataclasses.replace(spec.model, filters=4),
        inner=dataclasses.replace(spec.inner, step_grid=(0.01, 0.1)),
        validation=dataclasses.replace(spec.validation, tasks=2),
        evaluation=dataclasses.replace(spec.evaluation, tasks=2, steps=1),
    )


def test_a_killed_test_goes_on_to_the_same_bits(data_folder, tmp_path, monkeypatch):
    experiment = build_experiment(small_spec(), 1, data_folder)
    saved = Checkpoint(TrainingState.start(experiment.learner.initial_params()))
    scores, settings = experiment.evaluate(saved)

    fine_tuning, calls = experiment.fine_tuning, []

    def killed_at_the_third(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fine_tuning(*arguments)

    monkeypatch.setattr(experiment, "fine_tuning", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        experiment.evaluate(saved, RunDirectory(tmp_path))
    resumed_scores, resumed_settings = experiment.evaluate(saved, RunDirectory(tmp_path))
    assert len(calls) == 3 + 4  # 2 shots x (2 settings in validation + 1 in the test) = 6, of which 2 were kept
    assert resumed_settings == settings
    assert list(resumed_scores) == list(scores)
    for name, values in scores.items():
        np.testing.assert_array_equal(resumed_scores[name], values)

    other = Checkpoint(TrainingState.start([p + 0.01 for p in saved.params]))
    experiment.evaluate(other, RunDirectory(tmp_path))
    assert len(calls) == 7 + 6  # nothing is taken from other weights


def test_the_parts_are_in_the_run_directory_and_their_time_counts(data_folder, tmp_path, monkeypatch):
    spec = small_spec()
    folders = {"runs_folder": tmp_path / "runs", "data_folder": data_folder, "results_folder": tmp_path}
    monkeypatch.setattr("maml_tf.experiments.run._tested_by_this_code", lambda path: None)
    once, again = (train_and_evaluate(spec, command="a test", **folders) for _ in range(2))
    assert again.curves == once.curves
    (folder,) = (run_directory_of(spec, 1, tmp_path / "runs").path / "test_parts").iterdir()
    parts = list(folder.glob("*.npz"))
    assert len(parts) == 2 * (2 + 2 + 1)  # for each K: nearest neighbour twice, two settings, the chosen one
    computed = sum(float(np.load(part)["seconds"]) for part in parts)
    assert again.wall_seconds > computed - 0.05  # rounded to 0.1 s in the result
