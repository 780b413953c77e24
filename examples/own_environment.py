"""Meta-learning on an environment of one's own: MAML with policy gradients inside and TRPO outside (seconds)."""

import gymnasium
import numpy as np

from maml_tf.rl.goals import UniformGoals
from maml_tf.rl.gymnasium_tasks import GymnasiumTasks
from maml_tf.rl.maml_rl import MAMLRL
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampler import Sampler
from maml_tf.rl.trpo import TrustRegion


class Slide(gymnasium.Env):
    """A point slides along a line to a goal that it is not told: only the reward tells."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-0.2, 0.2, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.goal, self.position = options["goal"], np.zeros(1)
        return self.position, {}

    def step(self, action):
        self.position = self.position + action
        return self.position, -abs(self.position[0] - self.goal), False, False, {}


def make_envs(num_envs):
    return GymnasiumTasks(Slide, num_envs, UniformGoals(-1.0, 1.0), max_episode_steps=20)


tasks, rng = 10, np.random.default_rng(0)
sampler = Sampler(make_envs, tasks, trajectories=10)
learner = MAMLRL(GaussianPolicy(1, 1, hidden=(32, 32)), step_size=0.2, region=TrustRegion(max_kl=0.02))
theta = learner.initial_parameters()
for _ in range(25):
    goals = sampler.goal_distribution.sample(rng, tasks)
    iteration = learner.iteration(theta, sampler, goals, rng)
    theta = iteration.theta

goals = np.linspace(-1.0, 1.0, tasks)
for step, stage in enumerate(learner.adaptation(theta, sampler, goals, [0.2, 0.1], rng)):
    print(f"after {step} gradient steps: mean return {stage.mean_return:.1f}")
