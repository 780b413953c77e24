"""Reinforcement learning with discrete actions: an agent finds out in which direction of a corridor the reward is."""

import gymnasium
import keras
import numpy as np

import maml_tf as mt

LENGTH = 7


class Corridor(gymnasium.Env):
    """A row of cells. The agent starts in the middle and sees its cell, but not on which side the goal is."""

    observation_space = gymnasium.spaces.Discrete(LENGTH)  # the policy gets it as a one-hot vector
    action_space = gymnasium.spaces.Discrete(2)  # left, right

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[int, dict]:
        """Starts in the middle; the sign of the task's goal is its side."""
        super().reset(seed=seed)
        self.side, self.cell = np.sign((options or {})["goal"]), LENGTH // 2
        return self.cell, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        """Moves one cell; the reward is the distance from the middle on the goal's side, in parts of the largest."""
        self.cell = int(np.clip(self.cell + (1 if action == 1 else -1), 0, LENGTH - 1))
        return self.cell, float(self.side * (self.cell - LENGTH // 2) / (LENGTH // 2)), False, False, {}


def make_envs(num_envs: int) -> mt.rl.GymnasiumTasks:
    """Copies of the environment, whose goals are drawn from -1 to 1."""
    return mt.rl.GymnasiumTasks(Corridor, num_envs, mt.rl.UniformGoals(-1.0, 1.0), max_episode_steps=10)


def main() -> None:
    keras.utils.set_random_seed(0)
    goals = np.array([-1.0, 1.0] * 4)
    sampler = mt.rl.Sampler(make_envs, len(goals), trajectories=10)
    policy = mt.rl.CategoricalPolicy(LENGTH, 2, hidden=(16,))
    learner = mt.rl.MAMLTRPO(policy, step_size=1.0, trust_region=mt.rl.TrustRegion(max_kl=0.05))
    checkpoint = mt.rl.train(learner, sampler, iterations=15, seed=0)

    steps = learner.adaptation(checkpoint.params, sampler, goals, [1.0, 0.5], np.random.default_rng(0))
    for number, step in enumerate(steps):
        print(f"after {number} gradient steps: mean return {step.mean_return:.1f}")


if __name__ == "__main__":
    main()
