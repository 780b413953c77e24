"""A user's own Gymnasium environment as a family of tasks."""

import functools
import os
import warnings

import gymnasium
import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.rl.envs.goals import UniformGoals
from maml_tf.rl.envs.gymnasium_adapter import GymnasiumTasks
from maml_tf.rl.sampling.sampler import Sampler


class Thermostat(gymnasium.Env):
    """Heat between 0 and 4 degrees a step towards a goal temperature; reaching it ends the episode, freezing breaks."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1, 1))
    action_space = gymnasium.spaces.Box(0.0, 4.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.goal = options["goal"]
        self.temperature = np.float64(self.np_random.uniform())  # an action is float32
        return np.array([[self.temperature]]), {}

    def step(self, action):
        self.temperature += action[0] if self.goal >= 0 else np.nan
        distance = abs(self.goal - self.temperature)
        return np.array([[self.temperature]]), -distance, bool(distance < 2), False, {}


def test_goals_actions_ends_and_failures_reach_the_environment_and_come_back():
    envs = GymnasiumTasks(Thermostat, 3, UniformGoals(0.0, 20.0), max_episode_steps=3)
    start, _ = envs.reset(seed=0, options={"goal": [4.0, 20.0, -1.0]})
    observations, rewards, terminated, truncated, info = envs.step(np.array([[0.5], [-1.0], [7.0]]))
    np.testing.assert_allclose(observations[:, 0], start[:, 0] + [3.0, 0.0, 0.0])
    np.testing.assert_allclose(rewards, [-abs(1 - start[0, 0]), -(20 - start[1, 0]), 0.0])
    np.testing.assert_array_equal(terminated, [True, False, True])
    np.testing.assert_array_equal(info["physics_failure"], [False, False, True])
    envs.step(np.zeros((3, 1)))
    *_, truncated, _ = envs.step(np.zeros((3, 1)))
    np.testing.assert_array_equal(truncated, [False, True, False])
    again, _ = envs.reset(seed=0, options={"goal": 1.0})
    np.testing.assert_array_equal(again, start)


def test_a_new_goal_does_not_reach_a_rollout_that_still_runs():
    """An environment may keep the goal that it was given."""
    goals = UniformGoals(-1.0, 1.0, shape=(2,))
    envs = GymnasiumTasks(Point, 2, goals, max_episode_steps=5)
    envs.reset(options={"goal": [[0.1, 0.2], [0.3, 0.4]]})
    envs.reset(options={"goal": [[0.5, 0.6], [0.7, 0.8]], "reset_mask": np.array([False, True])})
    _, rewards, *_ = envs.step(np.zeros((2, 1)))
    np.testing.assert_allclose(rewards, [0.3, 1.5])


class Point(gymnasium.Env):
    """The reward is the sum of the goal's numbers."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        self.goal = options["goal"]
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), self.goal.sum(), False, False, {}


class Bandit(gymnasium.Env):
    """Arm `goal` of four pays 1; the observation is the last arm."""

    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.best = int(options["goal"])
        return 0, {}

    def step(self, action):
        assert action in self.action_space
        return int(action), float(action == self.best), False, False, {}


def test_discrete_observations_and_actions_are_one_hot():
    envs = GymnasiumTasks(Bandit, 3, UniformGoals(0.0, 4.0), max_episode_steps=2)
    assert envs.discrete_actions
    start, _ = envs.reset(options={"goal": [0.0, 1.0, 2.0]})
    np.testing.assert_array_equal(start, np.eye(4)[[0, 0, 0]])
    observations, rewards, *_ = envs.step(np.eye(4)[[0, 1, 3]])
    np.testing.assert_array_equal(observations, np.eye(4)[[0, 1, 3]])
    np.testing.assert_array_equal(rewards, [1, 1, 0])
    with pytest.raises(UsageError, match=r"Bandit: an action for Discrete\(4\) must be a one-hot vector"):
        envs.step(np.full((3, 4), 0.25))


class Deaf(Point):
    """Ignores its goal."""

    def reset(self, *, seed=None, options=None):
        self.goal = np.zeros(2)
        return np.zeros(1, np.float32), {}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_goal_that_nothing_reads_is_warned_of_once(num_workers):
    envs = GymnasiumTasks(Deaf, 3, UniformGoals(0.0, 1.0), max_episode_steps=5, num_workers=num_workers)
    envs.reset(seed=0)
    with pytest.warns(UserWarning, match=r"Deaf: nothing has read the goal, so every task is the same; .*set_goal="):
        envs.step(np.zeros((3, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        envs.step(np.zeros((3, 1)))
    envs.close()


def test_cartpole_looks_for_other_options_and_is_warned_of():
    make_env = functools.partial(gymnasium.make, "CartPole-v1")
    envs = GymnasiumTasks(make_env, 1, UniformGoals(0.0, 1.0), max_episode_steps=5)
    envs.reset(seed=0)
    with pytest.warns(UserWarning, match="CartPole-v1: nothing has read the goal"):
        envs.step(np.eye(2)[[0]])


def test_workers_give_what_one_process_gives():
    results = []
    for num_workers in (0, 2, 7):
        envs = GymnasiumTasks(Thermostat, 5, UniformGoals(0.0, 20.0), max_episode_steps=3, num_workers=num_workers)
        rows = [envs.reset(seed=1, options={"goal": [4.0, 20.0, -1.0, 9.0, 15.0]})[0]]
        for _ in range(3):
            rows += envs.step(np.linspace(-1, 1, 5)[:, np.newaxis])[:4]
        envs.reset(options={"goal": 1.0, "reset_mask": np.array([True, False, False, True, False])})
        rows += envs.step(np.zeros((5, 1)))[:4]
        envs.close()
        results.append(rows)
    for rows in results[1:]:
        for one, two in zip(results[0], rows, strict=True):
            np.testing.assert_array_equal(one, two)


def test_errors_in_a_worker_reach_the_caller():
    envs = GymnasiumTasks(Fragile, 2, UniformGoals(0.0, 1.0), max_episode_steps=5, num_workers=1)
    with pytest.raises(RuntimeError, match="an environment raised ZeroDivisionError"):
        envs.reset(seed=0)
    envs.close()


def test_a_caught_error_leaves_no_old_results_behind():
    make = functools.partial(GymnasiumTasks, Picky, 2, UniformGoals(-1.0, 1.0), max_episode_steps=5)
    results = []
    for num_workers in (0, 2):
        envs = make(num_workers=num_workers)
        with pytest.raises(UsageError, match="Picky: the observation of reset is not finite"):
            envs.reset(options={"goal": [-1.0, 0.1]})
        results.append(envs.reset(options={"goal": [0.2, 0.3]})[0])
        envs.close()
    np.testing.assert_array_equal(results, [[[0.2], [0.3]]] * 2)


class Picky(Point):
    """The observation is the goal, or not a number for a negative one."""

    def reset(self, *, seed=None, options=None):
        goal = options["goal"]
        return np.array([goal if goal > 0 else np.nan]), {}


def test_a_process_that_ends_is_an_error():
    envs = GymnasiumTasks(Leaving, 1, UniformGoals(0.0, 1.0), max_episode_steps=5, num_workers=1)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"a process of environments ended with exit code 3$"):
            envs.reset(seed=0)
    envs.close()


class Leaving(Point):
    def reset(self, *, seed=None, options=None):
        os._exit(3)


class Fragile(Point):
    def reset(self, *, seed=None, options=None):
        raise ZeroDivisionError("in reset")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_one_environment_for_all_is_an_error(num_workers):
    shared = Point()
    with pytest.raises(UsageError, match="Point: make_env returned the same environment twice"):
        GymnasiumTasks(lambda: shared, 2, UniformGoals(0.0, 1.0), 5, num_workers=num_workers)


def test_environments_of_different_spaces_are_an_error():
    sizes = iter((1, 2))

    def make_env():
        env = Point()
        env.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (next(sizes),))
        return env

    with pytest.raises(UsageError, match="Point: make_env made environments of different observation_space"):
        GymnasiumTasks(make_env, 2, UniformGoals(0.0, 1.0), 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"goals": {"velocity": 1.0}}, "goals: {'velocity': 1.0} is not allowed; expected a GoalDistribution"),
        ({"num_envs": 0}, "num_envs, num_workers: 0, 0 are not allowed"),
        ({"num_workers": -1}, "num_envs, num_workers: 2, -1 are not allowed"),
        ({"make_env": lambda: gymnasium.make("CartPole-v1").action_space}, "make_env returned a Discrete"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    defaults = {"make_env": Point, "num_envs": 2, "goals": UniformGoals(0.0, 1.0), "max_episode_steps": 5}
    with pytest.raises(UsageError, match=message):
        GymnasiumTasks(**defaults | arguments)


class DictGoals(UniformGoals):
    def sample(self, rng, num_tasks):
        return [{"velocity": rng.uniform()} for _ in range(num_tasks)]


def test_goals_that_are_no_numbers_are_an_error():
    envs = GymnasiumTasks(Point, 2, DictGoals(0.0, 1.0), max_episode_steps=5)
    with pytest.raises(UsageError, match=r"goal is \[{'velocity'.*allowed: numbers of shape \(2,\)"):
        envs.reset(seed=0)
    with pytest.raises(UsageError, match=r"goal is {'velocity': 1.0}; allowed: numbers"):
        envs.reset(options={"goal": {"velocity": 1.0}})


class Broken(Point):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, self.reward, *rest


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf])
def test_a_reward_that_is_not_finite_is_an_error(reward, num_workers):
    cls = type("Costly", (Broken,), {"reward": reward})
    envs = GymnasiumTasks(cls, 1, UniformGoals(0, 1, shape=(2,)), max_episode_steps=5, num_workers=num_workers)
    envs.reset(options={"goal": [0.1, 0.2]})
    with pytest.raises(FloatingPointError, match=rf"the reward is {reward}, after a finite observation"):
        envs.step(np.zeros((1, 1)))
    envs.close()


def test_no_reward_at_all_is_an_error():
    cls = type("Silent", (Broken,), {"reward": None})
    envs = GymnasiumTasks(cls, 1, UniformGoals(0, 1, shape=(2,)), max_episode_steps=5)
    envs.reset(options={"goal": [0.1, 0.2]})
    with pytest.raises(UsageError, match="the reward is None; expected one number"):
        envs.step(np.zeros((1, 1)))


def test_one_environment_behind_several_wrappers_or_threads_is_an_error():
    shared, goals = Point(), UniformGoals(0, 1, shape=(2,))
    with pytest.raises(UsageError, match="make_env returned the same environment twice"):
        GymnasiumTasks(lambda: gymnasium.wrappers.TimeLimit(shared, 5), 2, goals, max_episode_steps=5)

    def make_envs(num_envs):
        return GymnasiumTasks(lambda: shared, num_envs, goals, max_episode_steps=5)

    with pytest.raises(UsageError, match="make_env returned the same environment twice"):
        Sampler(make_envs, 2, 1)  # two tasks, each in a thread
