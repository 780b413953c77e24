"""Peers in sampling: Gymnasium's AsyncVectorEnv and envpool, with Gymnasium's cheetah and ant.

There is one physics step per action, as in ours and in rllab, and the policies are ours. Observations and rewards are
Gymnasium's, which differ in detail but not in cost. A repetition is a rollout of 200 steps in every environment.
"""

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.benchmark import Arrays, Benchmark, repeated, versions_of
from maml_tf.rl.sampling.numpy_policy import GaussianActor

ENVIRONMENTS = {"half_cheetah_velocity": "HalfCheetah", "ant_velocity": "Ant"}
ASYNC_ENVS = 20  # processes: the environments of one task
STEPS = 200


def prepare(name: str, problem: dict[str, Any], arrays: Arrays) -> Benchmark:
    """See `benchmarks.implementations`."""
    environment = ENVIRONMENTS[problem["environment"]]
    if name == "async_vector_env":
        import gymnasium

        envs = gymnasium.make_vec(f"{environment}-v5", num_envs=ASYNC_ENVS, vectorization_mode="async", frame_skip=1)
        observation_size, action_size = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
        return _rollouts(envs, 1, ASYNC_ENVS, observation_size, action_size, problem["hidden"])
    import envpool

    T, n = problem["tasks"], problem["trajectories"]
    threads = len(os.sched_getaffinity(0))
    envs = envpool.make(f"{environment}-v4", env_type="gymnasium", num_envs=T * n, num_threads=threads, frame_skip=1)
    return _rollouts(envs, T, n, envs.observation_space.shape[0], envs.action_space.shape[0], problem["hidden"])


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    try:
        return versions_of("envpool", "numpy")
    except ImportError:
        return versions_of("gymnasium", "mujoco", "numpy")


def _rollouts(envs: Any, T: int, n: int, observation_size: int, action_size: int, hidden: Sequence[int]) -> Benchmark:
    rng = np.random.default_rng(1)
    sizes = [observation_size, *hidden, action_size]
    params = [np.zeros((T, action_size))]
    for inputs, outputs in itertools.pairwise(sizes):
        params += [rng.normal(size=(T, inputs, outputs), scale=np.sqrt(1 / inputs)), np.zeros((T, outputs))]
    actor = GaussianActor(params)
    observations, _ = envs.reset()

    def rollout():
        nonlocal observations
        for _ in range(STEPS):
            actions = actor.act(np.asarray(observations, np.float32).reshape(T, n, -1), rng)
            observations, *_ = envs.step(np.clip(actions.reshape(T * n, -1), -1.0, 1.0))
        return STEPS * T * n

    return Benchmark(repeated(rollout), units=lambda steps: steps)
