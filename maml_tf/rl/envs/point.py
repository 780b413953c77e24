"""2D navigation: a point in the plane moves to a goal that it does not observe (section 5.3; PROTOCOL 4.1)."""

import numpy as np

from maml_tf.rl.envs.goals import UniformGoals
from maml_tf.rl.envs.registry import register
from maml_tf.rl.envs.vector_env import Outcome, TaskVectorEnv

HORIZON = 100
MAX_STEP = 0.1
SUCCESS = 0.01  # a rollout ends within this distance from the goal along both axes


@register(
    "point_navigation",
    horizon=HORIZON,
    gymnasium_id="maml_tf/PointNavigation-v0",
    title="2D navigation",
    targets_id="rl_2d_navigation",
)
class PointNavigation(TaskVectorEnv):
    """The observation is the position, at first the origin. An action moves the point by up to 0.1 along each axis.

    The reward is the negative distance to the goal after the move. The paper says its square, but the authors'
    published trajectories have the distance (PROTOCOL 4.1).
    """

    goal_distribution = UniformGoals(-0.5, 0.5, shape=(2,))

    def __init__(self, num_envs: int, max_episode_steps: int | None = HORIZON, reveal_task: bool = False):
        super().__init__(num_envs, 2, 2, self.goal_distribution, max_episode_steps, reveal_task)
        self.positions = np.zeros((num_envs, 2))

    def _start(self, ids):
        self.positions[ids] = 0.0
        return self.positions[ids]

    def _advance(self, ids, actions):
        positions = self.positions[ids] + MAX_STEP * actions
        self.positions[ids] = positions
        offset = positions - self.goals[ids]
        arrived = np.all(np.abs(offset) < SUCCESS, axis=1)
        return Outcome(positions, -np.linalg.norm(offset, axis=1), arrived, np.zeros(len(ids), bool))
