"""Reinforcement learning with your own Gymnasium environment: a policy finds a hidden goal in two gradient steps."""

import gymnasium
import keras
import numpy as np

import maml_tf as mt


class Slide(gymnasium.Env):
    """A point slides along a line to a goal. The observation does not show the goal, only the reward depends on it."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-0.2, 0.2, (1,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Starts at 0, with the task's goal from the options."""
        super().reset(seed=seed)
        self.goal, self.position = (options or {})["goal"], np.zeros(1)
        return self.position, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Moves by the action; the reward is minus the distance to the goal."""
        self.position = self.position + action
        return self.position, -abs(self.position[0] - self.goal), False, False, {}


def make_envs(num_envs: int) -> mt.rl.GymnasiumTasks:
    """Copies of the environment, whose goals are drawn from -1 to 1."""
    return mt.rl.GymnasiumTasks(Slide, num_envs, mt.rl.UniformGoals(-1.0, 1.0), max_episode_steps=20)


def main() -> None:
    keras.utils.set_random_seed(0)
    tasks = 10
    sampler = mt.rl.Sampler(make_envs, tasks, trajectories=10)
    policy = mt.rl.GaussianPolicy(1, 1, hidden=(32, 32))
    learner = mt.rl.MAMLTRPO(policy, step_size=0.2, trust_region=mt.rl.TrustRegion(max_kl=0.02))
    checkpoint = mt.rl.train(learner, sampler, iterations=15, seed=0)

    goals = np.linspace(-1.0, 1.0, tasks)
    steps = learner.adaptation(checkpoint.params, sampler, goals, [0.2, 0.1], np.random.default_rng(0))
    for number, step in enumerate(steps):
        print(f"after {number} gradient steps: mean return {step.mean_return:.1f}")


if __name__ == "__main__":
    main()
