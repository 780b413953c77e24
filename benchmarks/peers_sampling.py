"""Peers in sampling: Gymnasium's AsyncVectorEnv and envpool, on Gymnasium's own cheetah and ant.

One physics step an action as ours (rllab's way) and our policies; observations and rewards are Gymnasium's, which
differ in detail and not in cost. A repetition is a rollout of 200 steps in every environment.
"""

import itertools
import os

import numpy as np

from benchmarks.prepared import Prepared, repeated, versions_of
from maml_tf.rl.sampling.numpy_policy import Actor

ENVIRONMENTS = {"half_cheetah_velocity": "HalfCheetah", "ant_velocity": "Ant"}
ASYNC_ENVS = 20  # processes; those of one task
STEPS = 200


def prepare(side, problem, arrays):
    """See side.py."""
    name = ENVIRONMENTS[problem["environment"]]
    if side == "async_vector_env":
        import gymnasium

        envs = gymnasium.make_vec(f"{name}-v5", num_envs=ASYNC_ENVS, vectorization_mode="async", frame_skip=1)
        observation_size, action_size = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
        return _rollouts(envs, 1, ASYNC_ENVS, observation_size, action_size, problem["hidden"])
    import envpool

    T, n = problem["tasks"], problem["trajectories"]
    threads = len(os.sched_getaffinity(0))
    envs = envpool.make(f"{name}-v4", env_type="gymnasium", num_envs=T * n, num_threads=threads, frame_skip=1)
    return _rollouts(envs, T, n, envs.observation_space.shape[0], envs.action_space.shape[0], problem["hidden"])


def versions():
    """Of what this side runs on."""
    try:
        return versions_of("envpool", "numpy")
    except ImportError:
        return versions_of("gymnasium", "mujoco", "numpy")


def _rollouts(envs, T, n, observation_size, action_size, hidden):
    rng = np.random.default_rng(1)
    sizes = [observation_size, *hidden, action_size]
    params = [np.zeros((T, action_size))]
    for inputs, outputs in itertools.pairwise(sizes):
        params += [rng.normal(size=(T, inputs, outputs), scale=np.sqrt(1 / inputs)), np.zeros((T, outputs))]
    actor = Actor(params)
    observations, _ = envs.reset()

    def rollout():
        nonlocal observations
        for _ in range(STEPS):
            actions = actor.act(np.asarray(observations, np.float32).reshape(T, n, -1), rng)
            observations, *_ = envs.step(np.clip(actions.reshape(T * n, -1), -1.0, 1.0))
        return STEPS * T * n

    return Prepared(repeated(rollout), units=lambda steps: steps)
