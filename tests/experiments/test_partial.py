"""An unfinished training is evaluated as a shorter one, and the half-way mark is kept for a test that counts."""

import dataclasses
import pathlib

import numpy as np
import pytest
from helpers import shorter_trajectories
from small_experiment import IMPLEMENTATION, small_spec

from maml_tf.errors import UsageError
from maml_tf.experiments.base import TrainingOptions
from maml_tf.experiments.few_shot_spec import FewShotSpec
from maml_tf.experiments.partial import evaluate_half, evaluate_partial
from maml_tf.experiments.results import read_result
from maml_tf.experiments.run import run_directory_of, train, train_and_evaluate
from maml_tf.experiments.spec import read_spec
from maml_tf.training.checkpoint import RunDirectory

NAME = "point_navigation_maml"
SPEC = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs" / f"{NAME}.yaml"
pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(autouse=True)
def short_trajectories(monkeypatch):
    """12 time steps in place of 100."""
    shorter_trajectories(monkeypatch, 12)


def spec_of(iterations=4, seeds=(1,), profile="paper", asked=4):
    """MAML on 2D navigation, some of four iterations with one task."""
    smoke = read_spec(SPEC, "smoke")
    return dataclasses.replace(
        smoke,
        profile=profile,
        seeds=seeds,
        tasks=dataclasses.replace(smoke.tasks, trajectories=2),
        meta=dataclasses.replace(smoke.meta, iterations=iterations, batch_size=1),
        evaluation=dataclasses.replace(smoke.evaluation, tasks=2, trajectories=2),
        iterations_asked=asked,
    )


def options_for(folder):
    return {f"{kind}_folder": folder / kind for kind in ("runs", "data", "results")} | {"command": "a test"}


def stop_after(iterations, spec, seed, folder, monkeypatch):
    """Trains in `folder` and kills the training when it would save one iteration more."""
    write = RunDirectory.write

    def killed(self, saved):
        if saved.iteration > iterations:
            raise KeyboardInterrupt
        write(self, saved)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            train(spec, seed, runs_folder=folder / "runs", data_folder=folder / "data")


def test_an_unfinished_training_is_evaluated_as_a_shorter_one(tmp_path, monkeypatch):
    spec, unfinished = spec_of(iterations=2, asked=2), tmp_path / "unfinished"
    stop_after(1, spec, 1, unfinished, monkeypatch)
    before = run_directory_of(spec, 1, unfinished / "runs").state_file.read_bytes()
    partial = evaluate_partial(spec, **options_for(unfinished))
    assert (partial.profile, partial.iterations_done, partial.iterations_asked) == ("partial", 1, 2)
    assert not partial.counts
    assert partial.settings["seed_1"]["trained_at"]
    shorter = train_and_evaluate(spec_of(iterations=1, asked=2, profile="cpu"), **options_for(tmp_path / "shorter"))
    assert partial.curves == shorter.curves
    assert read_result(unfinished / "results" / "partial" / f"{NAME}.json").curves == partial.curves
    assert run_directory_of(spec, 1, unfinished / "runs").state_file.read_bytes() == before
    # continued and evaluated again at its end, it gives the same as an uninterrupted training
    whole = train_and_evaluate(spec, **options_for(tmp_path / "whole"))
    train(spec, 1, runs_folder=unfinished / "runs", data_folder=None, options=TrainingOptions(resume=True))
    finished = evaluate_partial(spec, **options_for(unfinished))
    assert (finished.profile, finished.iterations_done) == ("paper", 2)
    assert finished.curves == whole.curves
    assert [iteration for iteration, _ in whole.history["seed_1"]["losses"]] == [1, 2]
    assert finished.history == whole.history
    assert partial.history["seed_1"]["losses"] == whole.history["seed_1"]["losses"][:1]
    assert read_result(tmp_path / "whole" / "results" / f"{NAME}.json").history == finished.history
    last = [result.curves["return_last_model"].mean for result in (partial, finished)]
    assert not np.array_equal(*last)


def test_seeds_that_were_not_started_or_reached_different_iterations_are_named(tmp_path, monkeypatch):
    spec = spec_of(seeds=(1, 2))
    stop_after(2, spec, 1, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=rf"seed_2: no training of {NAME} was started there. Name a training"):
        evaluate_partial(spec, **options_for(tmp_path))
    stop_after(1, spec, 2, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=r"different iterations \(seed 1 at 2, seed 2 at 1\): train on"):
        evaluate_partial(spec, **options_for(tmp_path))
    assert not (tmp_path / "results").exists()
    alone = evaluate_partial(spec_of(seeds=(2,)), **options_for(tmp_path))
    assert (alone.seeds, alone.iterations_done) == ((2,), 1)


def test_the_half_way_mark_is_tested_as_a_training_of_half_the_iterations(tmp_path, monkeypatch):
    monkeypatch.setattr(FewShotSpec, "implementation", IMPLEMENTATION)
    spec = small_spec(seeds=(1,), iterations=8)
    folders = options_for(tmp_path) | {"weights_folder": tmp_path / "weights"}
    with pytest.raises(UsageError, match=r"half.npz: .* a training writes it at exactly half of its iterations"):
        evaluate_half(spec, **folders)
    whole = train_and_evaluate(spec, **folders)
    half = evaluate_half(spec, **folders)
    assert (half.profile, half.iterations_done, half.iterations_asked) == ("half", 4, 8)
    assert not half.counts
    assert half.history["seed_1"]["losses"] == whole.history["seed_1"]["losses"][:4]
    assert half.history["seed_1"]["validations"] == whole.history["seed_1"]["validations"][:2]
    shorter = train_and_evaluate(
        dataclasses.replace(small_spec(seeds=(1,), iterations=4), profile="cpu"), **options_for(tmp_path / "shorter")
    )
    assert half.curves == shorter.curves
    assert read_result(tmp_path / "results" / "half" / f"{spec.name}.json").curves == half.curves
    assert set(half.weights) == {f"{spec.name}/seed_1_half.npz"}
    assert (tmp_path / "weights" / spec.name / "seed_1_half.npz").exists()
    assert read_result(tmp_path / "results" / f"{spec.name}.json") == whole  # the test at the end is another file


def test_a_resumed_training_keeps_the_same_half_way_mark(tmp_path, monkeypatch):
    monkeypatch.setattr(FewShotSpec, "implementation", IMPLEMENTATION)
    spec = small_spec(seeds=(1,), iterations=8)
    train_and_evaluate(spec, **options_for(tmp_path / "whole"))
    expected = run_directory_of(spec, 1, tmp_path / "whole" / "runs").read_half()
    for reached in (2, 4, 6):
        folder = tmp_path / str(reached)
        stop_after(reached, spec, 1, folder, monkeypatch)
        run_dir = run_directory_of(spec, 1, folder / "runs")
        if reached == 4:  # as a training leaves it that was stopped before half-way marks were kept
            run_dir.half_file.unlink()
        train(spec, 1, runs_folder=folder / "runs", data_folder=None, options=TrainingOptions(resume=True))
        kept = run_dir.read_half()
        assert (kept.iteration, kept.best_iteration, kept.best_score) == (
            4,
            expected.best_iteration,
            expected.best_score,
        )
        for ours, theirs in zip(
            [*kept.params, *kept.state.params], [*expected.params, *expected.state.params], strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("iterations", "every"), [(7, 2), (6, 2), (8, 3)])
def test_a_spec_without_a_half_way_mark_is_named(iterations, every, tmp_path):
    spec = small_spec(iterations=iterations)
    spec = dataclasses.replace(spec, validation=dataclasses.replace(spec.validation, every=every))
    with pytest.raises(UsageError, match=rf"there is no half-way mark: .*now {iterations}.*now {every}"):
        evaluate_half(spec, **options_for(tmp_path))
    with pytest.raises(UsageError, match=r"there is no half-way mark: .*validation.every \(now None\)"):
        evaluate_half(spec_of(), **options_for(tmp_path))
