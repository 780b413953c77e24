"""Ours in reinforcement learning: a whole meta-iteration, the sampling alone, and the physics that it contains."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Callable
from typing import Any

import mujoco
import mujoco.batch
import numpy as np
import tensorflow as tf

from benchmarks.benchmark import Arrays, Benchmark, repeated, versions_of
from benchmarks.workloads import SPECS
from maml_tf.experiments.rl import ReinforcementLearningExperiment
from maml_tf.experiments.spec import read_spec
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.runtime import configure_runtime

SEED = 1


def prepare(name: str, problem: dict[str, Any], arrays: Arrays) -> Benchmark:
    """See `benchmarks.implementations`."""
    configure_runtime()
    spec = read_spec(SPECS / f"{problem['spec']}.yaml", problem["profile"])
    experiment = ReinforcementLearningExperiment(spec, SEED)
    learner = experiment.learner
    sampler = Sampler(experiment.make_envs, spec.meta.batch_size, spec.tasks.trajectories)
    goals = sampler.goal_distribution.sample(np.random.default_rng(SEED), sampler.num_tasks)
    state = learner.initial_state()
    if problem["kind"] == "meta_iteration":
        return Benchmark(repeated(lambda: learner.iteration(state, sampler, goals, np.random.default_rng(SEED))))

    actor = learner.policy.actor(
        [tf.tile(p[tf.newaxis], [sampler.num_tasks, *[1] * p.shape.rank]) for p in state.params]
    )

    def sample():
        return int(sampler.sample(actor, goals, SEED).mask.sum())  # time steps of the trajectories

    if name == "ours":
        return Benchmark(repeated(sample), units=lambda steps: steps)
    physics = _physics_only(sampler, sample)
    if name == "physics_with_profiler":
        mujoco.set_mjcb_time(None)  # MuJoCo's own clock, which our environments remove
    return physics


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    return versions_of("tensorflow", "mujoco", "gymnasium", "numpy")


class _Recorder:
    """Replaces an environment's `mujoco.batch.Batch` and records every call with the state that it depends on."""

    def __init__(self, envs: Any) -> None:
        self.envs, self.batch = envs, envs.batch
        self.calls: list[tuple] = []
        envs.batch = self

    @property
    def warning(self) -> Any:
        return self.batch.warning

    def reset(self, ids: np.ndarray, stage: Any) -> None:
        self.calls.append((self.batch.reset, ids.copy(), stage, ()))
        self.batch.reset(ids, stage=stage)

    def forward(self, ids: np.ndarray, stage: Any) -> None:
        state = (self.envs.qpos, self.envs.qpos[ids].copy()), (self.envs.qvel, self.envs.qvel[ids].copy())
        self.calls.append((self.batch.forward, ids.copy(), stage, state))
        self.batch.forward(ids, stage=stage)

    def step(self, ids: np.ndarray, stage: Any) -> None:
        controls = self.envs._ctrl
        self.calls.append((self.batch.step, ids.copy(), stage, ((controls, controls[ids].copy()),)))
        self.batch.step(ids, stage=stage)

    def replay(self) -> None:
        """Makes the recorded calls again."""
        for function, ids, stage, inputs in self.calls:
            for array, values in inputs:
                array[ids] = values
            try:
                function(ids, stage=stage)
            except mujoco.batch.SimulationError:  # as it did when it was recorded
                continue


def _physics_only(sampler: Sampler, sample: Callable[[], int]) -> Benchmark:
    """Repeats the simulation steps of one sampling, without policy, observations, rewards or storage."""
    recorders = [_Recorder(envs) for envs in sampler.envs]
    steps = sample()

    def replay() -> int:
        for recorder in recorders:
            recorder.replay()
        return steps

    return Benchmark(repeated(replay), units=lambda steps: steps)
