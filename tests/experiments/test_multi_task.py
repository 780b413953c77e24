"""Multi-task training: what was stopped goes on to the same bits."""

import dataclasses

import numpy as np
import pytest
from helpers import fewer_tries, smoke_spec

from maml_tf.errors import UsageError
from maml_tf.experiments.base import TrainingOptions
from maml_tf.experiments.multi_task import PARTS, MultiTaskExperiment
from maml_tf.training.checkpoint import RunDirectory
from maml_tf.training.stopping import TrainingStoppedError


@pytest.fixture(autouse=True)
def two_tries(monkeypatch):
    """Regressors that miss the threshold are trained twice, not up to `multi_task.TRIES` times."""
    fewer_tries(monkeypatch, 2)


@pytest.mark.parametrize("name", ["sinusoid_multitask_reg_to_mean", "sinusoid_multitask_l2_reg"])
def test_a_stopped_training_goes_on_to_the_same_bits(name, tmp_path, monkeypatch, eagerly):
    monkeypatch.setattr("maml_tf.experiments.multi_task.GROUP", 2)
    spec = smoke_spec(name)
    spec = dataclasses.replace(spec, multitask=dataclasses.replace(spec.multitask, max_steps=2))
    experiment = MultiTaskExperiment(spec, 1)
    whole = experiment.train(RunDirectory(tmp_path / "whole"), TrainingOptions())
    fits, calls = MultiTaskExperiment._fit, []

    def stopped(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise TrainingStoppedError("")
        return fits(self, *arguments)

    run_dir = RunDirectory(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(MultiTaskExperiment, "_fit", stopped)
        with pytest.raises(TrainingStoppedError, match=r"the regressors trained so far are saved in .*--resume"):
            experiment.train(run_dir, TrainingOptions())
    assert len(list((run_dir.path / PARTS).iterdir())) == 1
    with pytest.raises(UsageError, match=r"holds a training that was stopped: --resume"):
        experiment.train(run_dir, TrainingOptions())
    resumed = experiment.train(run_dir, TrainingOptions(resume=True))
    for ours, theirs in zip(resumed.params, whole.params, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert resumed.validations == whole.validations
    assert not (run_dir.path / PARTS).exists()


def test_regressors_that_are_not_finite_stop(tmp_path, monkeypatch, eagerly):
    spec = smoke_spec("sinusoid_multitask_no_reg")
    spec = dataclasses.replace(spec, multitask=dataclasses.replace(spec.multitask, max_steps=3))
    experiment = MultiTaskExperiment(spec, 1)
    fresh = experiment._fresh
    monkeypatch.setattr(experiment, "_fresh", lambda *arguments: [p * np.nan for p in fresh(*arguments)])
    with pytest.raises(FloatingPointError, match=r"regressors 0 to 3 .* are not finite"):
        experiment.train(RunDirectory(tmp_path), TrainingOptions())
