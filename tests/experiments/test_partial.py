"""A stopped training is tested as far as it got, and goes on as if nothing had been asked."""

import dataclasses
import pathlib

import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.experiments.measure import measure
from maml_tf.experiments.partial import evaluate_partial
from maml_tf.experiments.results import read_result
from maml_tf.experiments.run import run_directory_of, train
from maml_tf.experiments.spec import read_spec
from maml_tf.training.checkpoint import RunDirectory

NAME = "point_navigation_maml"
SPEC = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs" / f"{NAME}.yaml"


def spec_of(iterations=4, seeds=(1,), profile="paper"):
    """MAML on 2D navigation, four iterations of the smoke profile's size."""
    smoke = read_spec(SPEC, "smoke")
    meta = dataclasses.replace(smoke.meta, iterations=iterations)
    return dataclasses.replace(smoke, profile=profile, seeds=seeds, meta=meta, iterations_asked=4)


def measuring(folder):
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


def test_a_stopped_training_is_measured_as_one_of_so_many_iterations(tmp_path, monkeypatch):
    spec, stopped = spec_of(), tmp_path / "stopped"
    stop_after(2, spec, 1, stopped, monkeypatch)
    before = run_directory_of(spec, 1, stopped / "runs").state_file.read_bytes()
    so_far = evaluate_partial(spec, **measuring(stopped))
    assert (so_far.profile, so_far.iterations_done, so_far.iterations_asked) == ("partial", 2, 4)
    assert not so_far.counts
    assert so_far.settings["seed_1"]["trained_at"]
    shorter = measure(spec_of(iterations=2, profile="cpu"), **measuring(tmp_path / "shorter"))
    assert so_far.curves == shorter.curves
    assert read_result(stopped / "results" / "partial" / f"{NAME}.json").curves == so_far.curves
    assert run_directory_of(spec, 1, stopped / "runs").state_file.read_bytes() == before
    # gone on, and asked again at its end, it is what an uninterrupted training gives
    whole = measure(spec, **measuring(tmp_path / "whole"))
    train(spec, 1, runs_folder=stopped / "runs", data_folder=None, resume=True)
    finished = evaluate_partial(spec, **measuring(stopped))
    assert (finished.profile, finished.iterations_done) == ("paper", 4)
    assert finished.curves == whole.curves
    assert [iteration for iteration, _ in whole.history["seed_1"]["losses"]] == [1, 2, 3, 4]
    assert finished.history == whole.history
    assert so_far.history["seed_1"]["losses"] == whole.history["seed_1"]["losses"][:2]
    assert read_result(tmp_path / "whole" / "results" / f"{NAME}.json").history == finished.history
    last = [result.curves["return_last_model"].mean for result in (so_far, finished)]
    assert not np.array_equal(*last)


def test_seeds_that_were_not_begun_or_got_differently_far_are_named(tmp_path, monkeypatch):
    spec = spec_of(seeds=(1, 2))
    stop_after(2, spec, 1, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=rf"seed_2: no training of {NAME} was begun there. What is to be tested\?"):
        evaluate_partial(spec, **measuring(tmp_path))
    stop_after(1, spec, 2, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=r"different iterations \(seed 1 at 2, seed 2 at 1\): train on"):
        evaluate_partial(spec, **measuring(tmp_path))
    assert not (tmp_path / "results").exists()
    alone = evaluate_partial(spec_of(seeds=(2,)), **measuring(tmp_path))
    assert (alone.seeds, alone.iterations_done) == ((2,), 1)
