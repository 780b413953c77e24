"""What a user's environment may return; everything else is an error that names environment and value."""

import copy
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from maml_tf.errors import UsageError
from maml_tf.rl.envs.checked_env import CheckedEnv, WatchedOptions


class Corridor(gymnasium.Env):
    """Every return can be replaced."""

    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, reset=None, step=None):
        self.returns = {
            "reset": (np.zeros(2), {}) if reset is None else reset,
            "step": step or (np.zeros(2), 1.0, False, False, {}),
        }
        self.actions = []

    def reset(self, *, seed=None, options=None):
        self.goal = options["goal"]
        return self.returns["reset"]

    def step(self, action):
        self.actions.append(action)
        return self.returns["step"]


def test_the_goal_arrives_and_returns_become_vectors():
    env = CheckedEnv(Corridor(step=(np.array([0.5, 1.0]), np.array([2.5]), np.bool_(True), False, {})))
    np.testing.assert_array_equal(env.reset(0, np.float64(3.0)), [0, 0])
    assert env.env.goal == 3.0
    assert env.goal_was_read
    observation, reward, ended = env.step(np.array([0.5]))
    np.testing.assert_array_equal(observation, [0.5, 1.0])
    assert (reward, ended) == (2.5, True)
    assert env.env.actions[0] in env.env.action_space


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        (np.zeros(2), r"Corridor: reset returned a ndarray of shape \(2,\); expected \(observation, info\)"),
        ([np.zeros(2), {}], "reset returned a list; expected"),
        ((np.zeros(2), 0.0), "reset returned a tuple of 2; expected .* with a dictionary"),
        ((np.zeros(2), {}, {}), "reset returned a tuple of 3"),
        ((np.zeros(1), {}), r"Corridor: the observation of reset has shape \(1,\); its space has shape \(2,\)"),
        ((np.array([0, np.nan]), {}), "Corridor: the observation of reset is not finite"),
        (({"position": 0.0}, {}), "Corridor: the observation of reset is {'position': 0.0}"),
    ],
)
def test_a_wrong_reset_is_named(reset, message):
    with pytest.raises(UsageError, match=message):
        CheckedEnv(Corridor(reset=reset)).reset(0, np.zeros(()))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ((np.zeros(2), 1.0, False, {}), r"Corridor: step returned a tuple of 4; expected \(observation, reward, ter"),
        ((np.zeros(3), 1.0, False, False, {}), r"the observation of step has shape \(3,\)"),
        ((np.zeros(2), np.zeros(2), False, False, {}), r"the reward is array\(\[0., 0.\]\); expected one number"),
        ((np.zeros(2), None, False, False, {}), "the reward is None; expected one number"),
        ((np.zeros(2), "1", False, False, {}), "the reward is '1'; expected one number"),
        ((np.zeros(2), 1.0, None, False, {}), "terminated is None; expected True or False"),
        ((np.zeros(2), 1.0, False, 1, {}), "truncated is 1; expected True or False"),
        ((np.zeros(2), 1.0, np.zeros(2, bool), False, {}), r"terminated has shape \(2,\); expected one value"),
    ],
)
def test_a_wrong_step_is_named(step, message):
    env = CheckedEnv(Corridor(step=step))
    env.reset(0, np.zeros(()))
    with pytest.raises(UsageError, match=message):
        env.step(np.zeros(1))


def test_what_is_not_finite_in_a_step_is_left_to_the_caller():
    env = CheckedEnv(Corridor(step=(np.array([np.nan, 0.0]), np.inf, False, False, {})))
    env.reset(0, np.zeros(()))
    observation, reward, _ = env.step(np.zeros(1))
    assert np.isnan(observation[0])
    assert reward == np.inf


def test_an_observation_outside_the_bounds_is_warned_of_once():
    env = CheckedEnv(Corridor(reset=(np.array([0.0, 1.5]), {})))
    with pytest.warns(UserWarning, match="Corridor: the observation of reset is outside the bounds of Box"):
        env.reset(0, np.zeros(()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.reset(0, np.zeros(()))


class WithoutOptions(Corridor):
    def reset(self, seed=None):
        return np.zeros(2), {}


class WithoutSeed(Corridor):
    def reset(self, options=None):
        return np.zeros(2), {}


class Broken(Corridor):
    def reset(self, *, seed=None, options=None):
        raise TypeError("its own mistake")


def test_a_reset_without_options_says_how_a_goal_arrives():
    with pytest.raises(UsageError, match=r"WithoutOptions: reset does not take options: .*pass set_goal=lambda env"):
        CheckedEnv(WithoutOptions()).reset(0, np.zeros(()))
    with pytest.raises(UsageError, match="WithoutSeed: reset does not take seed"):
        CheckedEnv(WithoutSeed()).reset(0, np.zeros(()))
    with pytest.raises(TypeError, match="its own mistake"):
        CheckedEnv(Broken()).reset(0, np.zeros(()))


def test_set_goal_serves_an_environment_that_takes_its_task_in_another_way():
    env = CheckedEnv(WithoutOptions(), set_goal=lambda env, goal: setattr(env, "task", {"velocity": float(goal)}))
    env.reset(0, np.float64(1.5))
    assert env.env.task == {"velocity": 1.5}
    assert env.goal_was_read


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda options: options["goal"], True),
        (lambda options: options.get("goal"), True),
        (lambda options: options.pop("goal"), True),
        (lambda options: dict(options), True),
        (lambda options: options.setdefault("goal", 0.0), True),
        (lambda options: {**options}, True),
        (lambda options: options | {"low": 0.0}, True),
        (lambda options: {"low": 0.0} | options, True),
        (lambda options: copy.deepcopy(options), True),
        (lambda options: options.copy(), True),
        (lambda options: list(options.items()), True),
        (lambda options: list(options.values()), True),
        (lambda options: (lambda goal: goal)(**options), True),
        (lambda options: options.get("low"), False),  # as CartPole does
        (lambda options: "goal" in options, False),
        (lambda options: options is not None, False),
    ],
)
def test_whether_a_goal_was_read_is_noted(read, expected):
    options = WatchedOptions({"goal": 1.0})
    read(options)
    assert options.goal_was_read is expected


def test_an_object_of_another_kind_is_named():
    with pytest.raises(UsageError, match=r"make_env returned a dict; expected a gymnasium\.Env"):
        CheckedEnv({})
    env = Corridor()
    env.observation_space = None
    with pytest.raises(UsageError, match=r"Corridor: observation_space is None; expected a gymnasium.Space"):
        CheckedEnv(env)
    env = Corridor()
    env.action_space = spaces.MultiBinary(3)
    with pytest.raises(UsageError, match=r"Corridor: action_space: MultiBinary\(3\) is not allowed"):
        CheckedEnv(env)
