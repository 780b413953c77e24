"""The optimizer of the outer loop, as the user says it."""

from __future__ import annotations

import numbers
from typing import Any

import keras
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.training.adam import Adam
from maml_tf.training.interpolation import Interpolation
from maml_tf.training.keras_optimizer import KerasOptimizer

DEFAULT_LEARNING_RATE = 0.003
DEFAULT_EPSILON = 0.1  # of an interpolation


def default_optimizer(learning_rate: Any, interpolates: bool = False) -> Adam | Interpolation:
    """The outer update of a learner's algorithm: Adam, or an interpolation (see `Learner.interpolates`)."""
    return Interpolation(learning_rate) if interpolates else Adam(learning_rate)


def chosen_optimizer(
    optimizer: Any, learning_rate: Any, interpolates: bool = False
) -> Adam | Interpolation | KerasOptimizer:
    """Adam or an interpolation with a learning rate, or a Keras optimizer, which has its own rate.

    Args:
        optimizer: a Keras optimizer, its name, or None for the learner's own outer update.
        learning_rate: a number, a schedule, or None for the default.
        interpolates: see `Learner`.

    Raises:
        UsageError: one of them is something else, both are given, or the schedule cannot be compiled.
    """
    if optimizer is not None and learning_rate is not None:
        raise UsageError("learning_rate and optimizer: only one of them is allowed; a Keras optimizer has its own rate")
    if optimizer is not None:
        return KerasOptimizer(optimizer)
    if isinstance(learning_rate, keras.optimizers.Optimizer):
        raise UsageError("learning_rate: a Keras optimizer is given; pass it as optimizer=")
    if learning_rate is None:
        return default_optimizer(DEFAULT_EPSILON if interpolates else DEFAULT_LEARNING_RATE, interpolates)
    if callable(learning_rate) and not isinstance(learning_rate, type):
        _check_schedule(learning_rate)
    elif not _is_rate(learning_rate):
        raise UsageError(
            f"learning_rate: {learning_rate!r} is not allowed; expected a number from 0, or a schedule of the iteration"
        )
    return default_optimizer(learning_rate, interpolates)


def _is_rate(value: Any) -> bool:
    """Whether a value is a number from 0, or a scalar tensor. A rate of nan is left to the check of the meta-loss."""
    if tf.is_tensor(value):
        return value.shape.rank == 0
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and not float(value) < 0


def _check_schedule(schedule: Any) -> None:
    try:
        rate = tf.function(schedule, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int32))
    except Exception as error:  # what a Python function raises on symbolic tensors can be nearly anything
        raise UsageError(
            f"learning_rate: the schedule cannot be compiled ({type(error).__name__}: {str(error).splitlines()[0]}); "
            "it must be made of TensorFlow operations, such as tf.where and tf.cos"
        ) from error
    shape = getattr(rate.structured_outputs, "shape", None)
    if shape is not None and shape.rank:
        raise UsageError(f"learning_rate: the schedule returns shape {shape.as_list()}; expected one number")
