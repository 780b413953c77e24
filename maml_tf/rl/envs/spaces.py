"""Gymnasium's spaces as vectors: observations are flattened after a check, actions are made from a policy's vectors."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from maml_tf.errors import UsageError

OBSERVATIONS = "Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of these"
ACTIONS = "a Box with finite bounds, or Discrete"


def flat_size(space: gymnasium.Space) -> int:
    """The length of an observation as `flattened` gives it.

    Raises:
        UsageError: the space is of a kind that cannot be flattened, or has no numbers.
    """
    _check_kind(space, "observation_space")
    size = spaces.flatdim(space)
    if not size:
        raise UsageError(f"observation_space: {space} is not allowed: it has no numbers")
    return size


def flat_bounds(space: gymnasium.Space) -> tuple[np.ndarray, np.ndarray]:
    """(lowest, highest) values of an observation as `flattened` gives it."""
    flat = spaces.flatten_space(space)
    assert isinstance(flat, spaces.Box)
    return flat.low, flat.high


def flattened(space: gymnasium.Space, value: Any, name: str = "observation") -> np.ndarray:
    """An observation as float64 [flat_size(space)], laid out as `gymnasium.spaces.flatten` does.

    Discrete values become one-hot vectors. Unlike Gymnasium's function it checks the value first.

    Args:
        space: of a kind that `flat_size` accepts.
        value: the observation.
        name: what messages call it.

    Raises:
        UsageError: the value has another shape, keys or type than the space, or a discrete value that is not in it.
    """
    if isinstance(space, spaces.Box):
        array = _numbers(value, space, name)
        return array.astype(np.float64).ravel()
    if isinstance(space, spaces.Dict):
        if not isinstance(value, dict) or value.keys() != space.spaces.keys():
            found = f"the keys {list(value)}" if isinstance(value, dict) else f"a {type(value).__name__}"
            raise UsageError(f"{name} is {found}; the space has the keys {list(space.spaces)}")
        parts = [flattened(part, value[key], f"{name}[{key!r}]") for key, part in space.spaces.items()]
        return np.concatenate(parts)
    if isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            found = f"{len(value)} parts" if isinstance(value, tuple | list) else f"a {type(value).__name__}"
            raise UsageError(f"{name} is {found}; the space is a Tuple of {len(space.spaces)}")
        parts = [flattened(part, value[i], f"{name}[{i}]") for i, part in enumerate(space.spaces)]
        return np.concatenate(parts)
    array = _numbers(value, space, name)
    if (array != np.floor(array)).any() or not space.contains(_as_member(space, array)):
        raise UsageError(f"{name} is {_short(value)}, which is not in {space}")
    return np.asarray(spaces.flatten(space, _as_member(space, array)), np.float64)


def action_size(space: gymnasium.Space) -> int:
    """The length of a policy's action vector.

    Raises:
        UsageError: the space is neither a Box with finite bounds nor Discrete.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.number):
        size = int(np.prod(space.shape))
        if space.is_bounded() and size:
            return size
    raise UsageError(f"action_space: {space} is not allowed; allowed: {ACTIONS}")


def to_action(space: gymnasium.Space, vector: np.ndarray) -> Any:
    """The member of an action space that a policy's vector stands for; `space.contains` holds for it.

    Args:
        space: of a kind that `action_size` accepts.
        vector: [A]. For a Box in normalised units: [-1, 1] is mapped to the bounds, and rounded for a Box of integers.
            For Discrete a one-hot vector.

    Raises:
        UsageError: the vector for a Discrete space is not one-hot.
    """
    if isinstance(space, spaces.Discrete):
        if np.count_nonzero(vector) != 1 or vector.max() != 1:
            raise UsageError(
                f"an action for {space} must be a one-hot vector, not {_short(vector)}: use a CategoricalPolicy"
            )
        return space.dtype.type(space.start + vector.argmax())
    assert isinstance(space, spaces.Box)
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    action = low + (vector.reshape(space.shape) + 1) / 2 * (high - low)
    if np.issubdtype(space.dtype, np.integer):
        action = np.rint(action)
    return np.clip(action.astype(space.dtype), space.low, space.high)


def _check_kind(space, name):
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            _check_kind(part, f"{name}[{key!r}]")
    elif not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise UsageError(f"{name}: {space} is not allowed; allowed: {OBSERVATIONS}")


def _numbers(value, space, name):
    """`value` as an array of numbers of the space's shape."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = None
    if array is None or not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise UsageError(f"{name} is {_short(value)}; expected numbers of shape {space.shape}, as in {space}")
    if array.shape != space.shape:
        raise UsageError(f"{name} has shape {array.shape}; its space has shape {space.shape}: {space}")
    return array


def _as_member(space, array):
    """Whole numbers in the type that the space's `contains` asks for."""
    return space.dtype.type(array) if isinstance(space, spaces.Discrete) else array.astype(space.dtype)


def _short(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
