"""Observations and actions as vectors, against Gymnasium's own functions; values outside their space are named."""

import numpy as np
import pytest
from gymnasium import spaces

from maml_tf.errors import UsageError
from maml_tf.rl.envs.spaces import action_size, flat_bounds, flat_size, flattened, to_action

OBSERVATIONS = [
    spaces.Box(-1.0, 1.0, (2, 3), dtype=np.float64),
    spaces.Box(0, 255, (2, 2), dtype=np.uint8),
    spaces.Discrete(4),
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiDiscrete([[2, 3], [4, 1]]),
    spaces.MultiBinary(3),
    spaces.Tuple((spaces.Discrete(2), spaces.Box(0.0, 1.0, (1,)))),
    spaces.Dict({"b": spaces.Discrete(3), "a": spaces.Dict({"inner": spaces.MultiBinary((2, 2))})}),
]


@pytest.mark.parametrize("space", OBSERVATIONS, ids=str)
def test_observations_are_flattened_as_gymnasium_does(space):
    space.seed(0)
    low, high = flat_bounds(space)
    for _ in range(20):
        value = space.sample()
        flat = flattened(space, value)
        assert flat.dtype == np.float64
        assert flat.shape == (flat_size(space),) == low.shape
        np.testing.assert_array_equal(flat, spaces.flatten(space, value))
        assert ((low <= flat) & (flat <= high)).all()


def test_what_python_gives_for_numbers_is_taken():
    np.testing.assert_array_equal(flattened(spaces.Box(0, 9, (2,)), [1, 2.5]), [1, 2.5])
    for value in (1, 1.0, np.int8(1), np.array(1), np.float32(1)):
        np.testing.assert_array_equal(flattened(spaces.Discrete(3), value), [0, 1, 0])
    np.testing.assert_array_equal(flattened(spaces.MultiBinary(2), [True, False]), [1, 0])
    np.testing.assert_array_equal(flattened(spaces.MultiDiscrete([2, 3]), [1, 0]), [0, 1, 1, 0, 0])


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (spaces.Box(0, 1, (3,)), [0.5, 0.5], r"observation has shape \(2,\); its space has shape \(3,\)"),
        (spaces.Box(0, 1, (1,)), 0.5, r"observation has shape \(\); its space has shape \(1,\)"),
        (spaces.Box(0, 1, (2,)), [[0.5], [0.5, 1]], r"observation is \[\[0.5\], \[0.5, 1\]\]; expected numbers"),
        (spaces.Box(0, 1, (1,)), ["a"], r"observation is \['a'\]; expected numbers of shape \(1,\)"),
        (spaces.Box(0, 1, (1,)), None, "observation is None; expected numbers"),
        (spaces.Discrete(3), 3, r"observation is 3, which is not in Discrete\(3\)"),
        (spaces.Discrete(3), -1, "observation is -1, which is not in"),
        (spaces.Discrete(3), 0.5, "observation is 0.5, which is not in"),
        (spaces.Discrete(3), np.nan, "observation is nan, which is not in"),
        (spaces.Discrete(3), [0, 1, 0], r"observation has shape \(3,\); its space has shape \(\)"),
        (spaces.MultiDiscrete([2, 2]), [0, 2], r"observation is \[0, 2\], which is not in MultiDiscrete"),
        (spaces.MultiBinary(2), [0, 2], "which is not in MultiBinary"),
        (spaces.Dict(a=spaces.Discrete(2)), {"b": 1}, r"observation is the keys \['b'\]; the space has .* \['a'\]"),
        (spaces.Dict(a=spaces.Discrete(2)), np.zeros(2), "observation is a ndarray; the space has the keys"),
        (spaces.Dict(a=spaces.Discrete(2)), {"a": 2}, r"observation\['a'\] is 2, which is not in Discrete\(2\)"),
        (spaces.Tuple((spaces.Discrete(2),)), (0, 1), "observation is 2 parts; the space is a Tuple of 1"),
        (spaces.Tuple((spaces.Discrete(2),)), (7,), r"observation\[0\] is 7"),
    ],
)
def test_a_value_outside_its_space_is_named(space, value, message):
    with pytest.raises(UsageError, match=message):
        flattened(space, value)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Text(5), "observation_space: Text.* is not allowed; allowed: Box, Discrete"),
        (spaces.Sequence(spaces.Discrete(2)), "observation_space: Sequence.* is not allowed"),
        (spaces.Dict(a=spaces.Graph(spaces.Discrete(2), None)), r"observation_space\['a'\]: Graph.* is not allowed"),
        (spaces.Box(0, 1, (0,)), "it has no numbers"),
    ],
)
def test_a_space_without_a_vector_is_named(space, message):
    with pytest.raises(UsageError, match=message):
        flat_size(space)


@pytest.mark.parametrize(
    ("space", "vector", "expected"),
    [
        (spaces.Box(-0.2, 0.2, (1,)), [1.0], [np.float32(0.2)]),
        (spaces.Box(-0.2, 0.2, (1,)), [-1.0], [np.float32(-0.2)]),
        (spaces.Box(np.array([0.0, -1.0]), np.array([4.0, 3.0]), dtype=np.float64), [0.5, 0.0], [3.0, 1.0]),
        (spaces.Box(0.0, 1.0, (2, 1)), [-1.0, 1.0], [[0.0], [1.0]]),
        (spaces.Box(0, 10, (1,), dtype=np.int64), [0.3], [6]),  # 6.5 is rounded to even
        (spaces.Box(0, 255, (1,), dtype=np.uint8), [1.0], [255]),
    ],
)
def test_actions_of_a_box_are_scaled_and_of_its_type(space, vector, expected):
    assert action_size(space) == len(vector)
    action = to_action(space, np.array(vector))
    assert action in space
    assert action.dtype == space.dtype
    np.testing.assert_array_equal(action, expected)


@pytest.mark.parametrize("space", [spaces.Box(-0.2, 0.7, (3,)), spaces.Box(-0.1, 0.1, (3,), dtype=np.float16)])
def test_no_action_is_outside_its_bounds_by_rounding(space):
    for vector in np.random.default_rng(0).uniform(-1, 1, (200, 3)).round(1):
        assert to_action(space, vector) in space


def test_discrete_actions_are_one_hot():
    space = spaces.Discrete(3, start=5)
    assert action_size(space) == 3
    assert [to_action(space, row) for row in np.eye(3)] == [5, 6, 7]
    assert to_action(space, np.eye(3)[0]) in space
    for vector in ([0.3, 0.4, -1.2], [1.0, 1.0, 0.0], [0.0, 0.5, 0.0]):
        with pytest.raises(UsageError, match=r"must be a one-hot vector, .* use a CategoricalPolicy"):
            to_action(space, np.array(vector))


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-np.inf, 1.0, (1,)),
        spaces.Box(0, 1, (0,)),
        spaces.MultiDiscrete([2, 2]),
        spaces.MultiBinary(2),
        spaces.Dict(a=spaces.Discrete(2)),
    ],
)
def test_other_action_spaces_are_refused(space):
    with pytest.raises(
        UsageError, match=r"action_space: .* is not allowed; allowed: a Box with finite bounds, or Disc"
    ):
        action_size(space)
