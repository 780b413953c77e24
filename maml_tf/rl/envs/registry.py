"""The paper's five families of environments under Gymnasium's names, one by one and as vectors.

    import maml_tf.rl.envs.registry
    env = gymnasium.make("maml_tf/AntDirection-v0")
    envs = gymnasium.make_vec("maml_tf/AntDirection-v0", num_envs=40, vectorization_mode="vector_entry_point")

The vectors step all their environments at once, on all cores; they are what the paper's experiments run on.
"""

import gymnasium

from maml_tf.rl.envs import ant, half_cheetah, mujoco_env, point
from maml_tf.rl.envs.single_env import SingleEnv, SingleMujocoEnv


class PointNavigationEnv(SingleEnv):
    """One `PointNavigation`."""

    vector_class = point.PointNavigation


class HalfCheetahVelocityEnv(SingleMujocoEnv):
    """One `HalfCheetahVelocity`."""

    vector_class = half_cheetah.HalfCheetahVelocity


class HalfCheetahDirectionEnv(SingleMujocoEnv):
    """One `HalfCheetahDirection`."""

    vector_class = half_cheetah.HalfCheetahDirection


class AntVelocityEnv(SingleMujocoEnv):
    """One `AntVelocity`."""

    vector_class = ant.AntVelocity


class AntDirectionEnv(SingleMujocoEnv):
    """One `AntDirection`."""

    vector_class = ant.AntDirection


ENVIRONMENTS = {
    "maml_tf/PointNavigation-v0": (PointNavigationEnv, point.HORIZON),
    "maml_tf/HalfCheetahVelocity-v0": (HalfCheetahVelocityEnv, mujoco_env.HORIZON),
    "maml_tf/HalfCheetahDirection-v0": (HalfCheetahDirectionEnv, mujoco_env.HORIZON),
    "maml_tf/AntVelocity-v0": (AntVelocityEnv, mujoco_env.HORIZON),
    "maml_tf/AntDirection-v0": (AntDirectionEnv, mujoco_env.HORIZON),
}

for name, (env_class, horizon) in ENVIRONMENTS.items():
    gymnasium.register(
        name,
        entry_point=f"{__name__}:{env_class.__name__}",
        vector_entry_point=f"{env_class.vector_class.__module__}:{env_class.vector_class.__name__}",
        max_episode_steps=horizon,
    )
