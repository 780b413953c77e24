"""`maml_tf replay` computes the iteration again that was not finite."""

import dataclasses

import numpy as np
import pytest
from helpers import smoke_spec

from maml_tf.errors import UsageError
from maml_tf.experiments.replay import replay
from maml_tf.experiments.run import train
from maml_tf.rl.sampling.sampler import Sampler

pytestmark = pytest.mark.usefixtures("eagerly")


def test_a_diverged_training_is_shown_task_by_task(tmp_path):
    spec = smoke_spec("sinusoid_maml")
    spec = dataclasses.replace(
        spec,
        inner=dataclasses.replace(spec.inner, step_size=1e9, train_steps=5),
        meta=dataclasses.replace(spec.meta, iterations=3, batch_size=2),
    )
    folders = {"runs_folder": tmp_path, "data_folder": None}
    with pytest.raises(UsageError, match="no training of sinusoid_maml was started there"):
        list(replay(spec, **folders))
    with pytest.raises(FloatingPointError, match=r"iteration 0 \(seed 1\): the meta-loss .* `maml_tf replay SPEC"):
        train(spec, 1, **folders)
    lines = list(replay(spec, **folders))
    assert "the state after 0 iterations" in lines[0]
    assert lines[1].startswith("support_x: float32 [2, 10, 1], ")
    assert [line for line in lines if line.startswith("task ") and "not finite" in line]
    assert any(line.startswith("dense_1/kernel [1, 40]: ") and "not finite" in line for line in lines)


def test_a_policy_is_replayed_from_its_state(tmp_path, monkeypatch):
    spec, sample = smoke_spec("point_navigation_maml"), Sampler.sample

    def costly(self, actor, goals, seed):
        trajectories = sample(self, actor, goals, seed)
        trajectories.rewards[0, 0] = np.inf
        return trajectories

    monkeypatch.setattr(Sampler, "sample", costly)
    with pytest.raises(FloatingPointError, match=r"iteration 0 \(seed 1\): task 0: the baseline has no finite"):
        train(spec, 1, runs_folder=tmp_path, data_folder=None)
    lines = list(replay(spec, runs_folder=tmp_path, data_folder=None))
    assert lines[1].startswith("iteration 0: task 0: the baseline has no finite solution")
    assert lines[-1].startswith("dense_3/bias [2]: ")
