"""The half-cheetah: run at a goal velocity, or forward or backward (section 5.3; PROTOCOL 4.2 to 4.4)."""

import abc

import numpy as np

from maml_tf.rl.envs.goals import Directions, GoalDistribution, UniformGoals
from maml_tf.rl.envs.mujoco_env import HORIZON, MujocoVectorEnv, compile_spec, gymnasium_spec
from maml_tf.rl.envs.registry import register

CONTROL_COST = 0.05


class HalfCheetah(MujocoVectorEnv):
    """rllab's half-cheetah: 6 torques, 20 observations, a step of 0.01 s. No rollout ends before the horizon.

    Gymnasium's model is rllab's. The environment differs from Gymnasium's in these points: one physics step per
    action, the centre of mass in the observations, its velocity in the reward, the costs, and the start states.
    """

    goal_distribution: GoalDistribution

    def __init__(self, num_envs: int, **settings):
        model = compile_spec(gymnasium_spec("half_cheetah.xml"))
        super().__init__(
            model,
            num_envs,
            observation_size=model.nq - 1 + model.nv + 3,
            goals=self.goal_distribution,
            stage="mjSTAGE_VEL",
            initial_qpos=model.qpos0,
            **settings,
        )

    @abc.abstractmethod
    def _progress(self, velocity, goals) -> np.ndarray:
        """The part of the reward that depends on the goal [k], for forward velocities [k]."""

    def _observe(self, rows):
        return np.concatenate([self.qpos[rows, 1:], self.qvel[rows], self.torso_com[rows]], axis=1)

    def _rewards(self, rows, actions, observations):
        progress = self._progress(self.torso_velocity[rows, 0], self.goals[rows])
        return progress - CONTROL_COST * np.square(actions).sum(axis=1)


@register(
    "half_cheetah_velocity",
    horizon=HORIZON,
    gymnasium_id="maml_tf/HalfCheetahVelocity-v0",
    title="half-cheetah, goal velocity",
    targets_id="rl_half_cheetah_goal_velocity",
)
class HalfCheetahVelocity(HalfCheetah):
    """The goal is a velocity from 0 to 2 m/s. The reward is - |velocity - goal| - control cost."""

    goal_distribution = UniformGoals(0.0, 2.0)

    def _progress(self, velocity, goals):
        return -np.abs(velocity - goals)


@register(
    "half_cheetah_direction",
    horizon=HORIZON,
    gymnasium_id="maml_tf/HalfCheetahDirection-v0",
    title="half-cheetah, forward or backward",
    targets_id="rl_half_cheetah_forward_backward",
)
class HalfCheetahDirection(HalfCheetah):
    """The goal is +1 (forward) or -1 (backward). The reward is goal x velocity - control cost."""

    goal_distribution = Directions(test_seed=1, test_low=0.0, test_high=2.0, test_threshold=1.0)

    def _progress(self, velocity, goals):
        return goals * velocity
