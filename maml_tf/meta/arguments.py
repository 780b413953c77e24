"""Arguments of the public functions, checked where they are given: the error names the argument and what is allowed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.tasks.base import TaskBatch

if TYPE_CHECKING:
    from maml_tf.meta.learner import Learner


def built_model(model: Any) -> keras.Model:
    """A Keras model that has weights to train.

    Raises:
        UsageError: it is something else, not built, or wholly frozen.
    """
    if isinstance(model, type) or not isinstance(model, keras.Model):
        what = model.__name__ if isinstance(model, type) else f"a {type(model).__module__}.{type(model).__name__}"
        raise UsageError(f"model: {what} is not allowed; expected a keras.Model (Keras 3), built")
    if not model.built:
        raise UsageError(
            f"model: {model.name} is not built, so it has no weights yet: give it a keras.Input, or call it once on "
            "inputs of the right shape"
        )
    if not model.trainable_variables:
        frozen = "all of its weights are frozen (trainable=False)" if model.variables else "it has no weights"
        raise UsageError(f"model: {model.name} has nothing to train: {frozen}")
    return model


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """A whole number from `least`.

    Raises:
        UsageError: it is something else.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)
    if not whole or value < least:
        raise UsageError(f"{name}: {value!r} is not allowed; expected a whole number from {least}")
    return int(value)


def seed_number(name: str, value: Any) -> int:
    """A whole number from 0 to 2^31 - 1.

    Raises:
        UsageError: it is something else; a fraction would be cut off, and a larger number would share its tasks.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)
    if not whole or not 0 <= int(value) < 2**31:
        raise UsageError(f"{name}: {value!r} is not allowed; expected a whole number from 0 to 2^31 - 1")
    return int(value)


def stateless_seed(name: str, value: Any) -> tuple[int, int]:
    """Two whole numbers from 0 to 2^31 - 1, as a tuple, a list, an array or a tensor.

    Raises:
        UsageError: it is something else.
    """
    parts = np.asarray(value).tolist() if tf.is_tensor(value) or isinstance(value, np.ndarray) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise UsageError(f"{name}: {value!r} is not allowed; expected two whole numbers, such as (1, 2)")
    first, second = (seed_number(f"{name}[{index}]", part) for index, part in enumerate(parts))
    return first, second


def number(name: str, value: Any, least: float = 0.0) -> Any:
    """A finite number from `least`, or a scalar tensor.

    Raises:
        UsageError: it is something else.
    """
    if tf.is_tensor(value) and value.shape.rank == 0 and value.dtype.is_floating:
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if not real or not math.isfinite(value) or value < least:
        raise UsageError(f"{name}: {value!r} is not allowed; expected one number from {least:g}")
    return float(value)


def theta(params: Sequence[Any] | None, learner: Learner) -> list[tf.Tensor]:
    """Parameters as tensors in the learner's order; its initial ones where there are none.

    Raises:
        UsageError: they are not one array for each of the learner's parameters, of its shape.
    """
    expected = learner.initial_params()
    if params is None:
        return expected
    names = learner.param_names
    if hasattr(params, "params"):
        raise UsageError(f"params: a {type(params).__name__} is given; pass its `params`")
    if not isinstance(params, list | tuple) or len(params) != len(expected):
        given = f"{len(params)} arrays are" if isinstance(params, list | tuple) else f"a {type(params).__name__} is"
        raise UsageError(
            f"params: {given} given, theta has {len(expected)}: {', '.join(names)}. checkpoint.params and "
            "learner.initial_params() are such lists; model.get_weights() also holds weights that are not trained"
        )
    tensors = []
    for name, param, reference in zip(names, params, expected, strict=True):
        try:
            tensor = tf.convert_to_tensor(param)
        except (ValueError, TypeError) as error:
            raise UsageError(f"params: {name}: {error}") from None
        if tensor.shape != reference.shape:
            raise UsageError(f"params: {name} has shape {tensor.shape.as_list()}; expected {reference.shape.as_list()}")
        tensors.append(tf.cast(tensor, reference.dtype))
    return tensors


def task_batch(batch: Any) -> TaskBatch:
    """A TaskBatch whose parts have the same number of tasks.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(batch, TaskBatch):
        raise UsageError(
            f"the tasks are a {type(batch).__name__}; expected mt.TaskBatch(support_x, support_y, query_x, query_y)"
        )
    T = [tensor.shape[0] for part in batch for tensor in tf.nest.flatten(part)]
    if len(set(T)) > 1:
        raise UsageError(f"the parts of a TaskBatch have {T} tasks along their first axes; expected the same number")
    return batch
