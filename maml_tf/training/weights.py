"""Weight files: theta as an .npz, each parameter under its path in the model."""

import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ, atomic_write, open_npz
from maml_tf.errors import UsageError
from maml_tf.meta.functional import names_before_paths, weight_names, weights_of
from maml_tf.meta.learner import Learner


def write_weights(path: str | os.PathLike, owner: Learner | keras.Model, params: Sequence[tf.Tensor]) -> None:
    """Writes parameters as an .npz, each under its path in the model (`dense_1/kernel`, `encoder/dense/kernel`, ...).

    Args:
        path: of the file, which is written whole.
        owner: the learner whose theta this is, or a model whose weights they are.
        params: in the owner's order.

    Raises:
        UsageError: two weights of the model have the same path.
    """
    arrays = {name: np.asarray(p) for name, p in zip(_shapes(owner), params, strict=True)}
    with atomic_write(path, "wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType] (its stub mixes them with allow_pickle)


def read_weights(path: str | os.PathLike, owner: Learner | keras.Model) -> list[tf.Tensor]:
    """Reads parameters that `write_weights` wrote.

    Args:
        path: of the file.
        owner: a learner or a model with parameters of the same names and shapes.

    Raises:
        UsageError: the file is missing, its names or shapes are not the owner's, or two weights of the owner have the
            same path.
    """
    try:
        with open_npz(path) as archive:
            arrays = dict(archive)
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: no weights can be read from it ({error})") from None
    return as_params(arrays, owner, path)


def as_params(
    arrays: Mapping[str, np.ndarray], owner: Learner | keras.Model, where: str | os.PathLike
) -> list[tf.Tensor]:
    """Arrays by name as parameters in the owner's order.

    Args:
        arrays: what a weight file holds.
        owner: a learner or a model.
        where: the source of the arrays, for the message.

    Raises:
        UsageError: names, shapes or types are not the owner's, or a value is not finite; the message names the first.
    """
    expected = _shapes(owner)
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        arrays = _renamed(arrays, owner)
        found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        differing = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise UsageError(
            f"{where}: weights of another model: {differing[0]} has shape {found.get(differing[0])}, "
            f"the model's is {expected.get(differing[0])}"
        )
    dtypes = {name: p.dtype.name for name, p in zip(expected, _params(owner), strict=True)}
    for name, dtype in dtypes.items():
        if arrays[name].dtype != dtype:
            raise UsageError(f"{where}: {name} is {arrays[name].dtype}; expected {dtype}")
        if not np.isfinite(arrays[name]).all():
            raise UsageError(f"{where}: {name} has values that are not finite")
    return [tf.constant(arrays[name]) for name in expected]


def _renamed(arrays: Mapping[str, np.ndarray], owner: Learner | keras.Model) -> Mapping[str, np.ndarray]:
    """The arrays of an older file under today's names; other arrays as they are."""
    model = owner if isinstance(owner, keras.Model) else owner.model
    today = dict(zip(names_before_paths(model), weight_names(model), strict=True))
    if not today.keys() <= arrays.keys():
        return arrays
    return {today.get(name, name): array for name, array in arrays.items()}


def _shapes(owner: Learner | keras.Model) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter by name, in the owner's order."""
    names = weight_names(owner) if isinstance(owner, keras.Model) else owner.param_names
    return {name: tuple(p.shape) for name, p in zip(names, _params(owner), strict=True)}


def _params(owner: Learner | keras.Model) -> list[tf.Tensor]:
    return weights_of(owner) if isinstance(owner, keras.Model) else owner.initial_params()
