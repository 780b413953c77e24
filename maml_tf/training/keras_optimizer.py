"""A Keras optimizer in the place of Adam, as pure functions of its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from maml_tf.errors import UsageError


class OptimizerState(NamedTuple):
    """Everything that a training with a Keras optimizer carries from one iteration to the next.

    Attributes:
        iteration: int32 [], the number of meta-iterations done.
        params: list of tensors, theta.
        variables: the optimizer's own, in its order.
    """

    iteration: tf.Tensor
    params: list[tf.Tensor]
    variables: list[tf.Tensor]


class KerasOptimizer:
    """The outer loop's step by a Keras optimizer: any of `keras.optimizers`, with clipping, decay and schedules.

    A copy with fresh variables is used. The optimizer that is given stays as it is.

    Args:
        optimizer: a Keras optimizer, or the name of one.

    Raises:
        UsageError: it is something else.
    """

    def __init__(self, optimizer: Any):
        try:
            given = keras.optimizers.get(optimizer)
        except (ValueError, TypeError) as error:
            raise UsageError(f"optimizer: {optimizer!r} is not allowed; expected a Keras optimizer ({error})") from None
        if not isinstance(given, keras.optimizers.Optimizer):
            raise UsageError(f"optimizer: {optimizer!r} is not allowed; expected a Keras optimizer, or its name")
        self.optimizer = type(given).from_config(given.get_config())
        self.theta: list[keras.Variable] = []

    def start(self, params: Sequence[tf.Tensor]) -> OptimizerState:
        """The state before the first iteration."""
        if not self.theta:
            self.theta = [
                keras.Variable(p, dtype=p.dtype.name, name=f"theta_{index}") for index, p in enumerate(params)
            ]
            self.optimizer.build(self.theta)
        return OptimizerState(
            tf.constant(0), list(params), [tf.convert_to_tensor(variable) for variable in self.optimizer.variables]
        )

    def apply(self, state: OptimizerState, gradients: Sequence[tf.Tensor]) -> OptimizerState:
        """The state after one step along `gradients`, which have the shapes of `state.params`."""
        # Keras has no stateless step with TensorFlow. The optimizer's variables take the values of the state, and the
        # state takes theirs after the step.
        for variable, value in zip(self._variables, [*state.params, *state.variables], strict=True):
            variable.assign(value)
        self.optimizer.apply(list(gradients), self.theta)
        after = [tf.identity(variable.value) for variable in self._variables]
        params, variables = after[: len(self.theta)], after[len(self.theta) :]
        return OptimizerState(state.iteration + 1, params, variables)

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self.theta, *self.optimizer.variables]
