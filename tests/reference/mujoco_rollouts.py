"""The locomotion environments in a state that tests can compare with plain MuJoCo."""

import mujoco
import numpy as np

from maml_tf.rl.envs.ant import AntDirection, AntVelocity
from maml_tf.rl.envs.half_cheetah import HalfCheetahDirection, HalfCheetahVelocity
from maml_tf.rl.envs.mujoco_env import MujocoVectorEnv

FAMILIES = [HalfCheetahVelocity, HalfCheetahDirection, AntVelocity, AntDirection]
NUM_ENVS = 3


def started(family: type[MujocoVectorEnv], **settings) -> tuple[MujocoVectorEnv, np.ndarray]:
    """(environments after a reset, their goals)."""
    envs = family(NUM_ENVS, num_threads=2, **settings)
    goals = envs.goal_distribution.test_goals()[:NUM_ENVS]
    envs.reset(seed=5, options={"goal": goals})
    return envs, goals


def simulations(envs: MujocoVectorEnv) -> list[mujoco.MjData]:
    """An MjData for each environment, in the environment's state."""
    data = [mujoco.MjData(envs.model) for _ in range(envs.num_envs)]
    for one, qpos, qvel in zip(data, envs.qpos, envs.qvel, strict=True):
        one.qpos, one.qvel = qpos, qvel
        mujoco.mj_forward(envs.model, one)
    return data
