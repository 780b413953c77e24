"""Adam as pure functions of its state, so that a whole training loop compiles, exports and resumes exactly."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf


class TrainingState(NamedTuple):
    """Everything that a training carries from one iteration to the next.

    Attributes:
        iteration: int32 [], the number of meta-iterations done.
        params: list of tensors, theta.
        first_moments, second_moments: Adam's, with the shapes of `params`.
    """

    iteration: tf.Tensor
    params: list[tf.Tensor]
    first_moments: list[tf.Tensor]
    second_moments: list[tf.Tensor]

    @classmethod
    def start(cls, params: Sequence[tf.Tensor]) -> "TrainingState":
        """The state before the first iteration."""
        return cls(tf.constant(0), list(params), [tf.zeros_like(p) for p in params], [tf.zeros_like(p) for p in params])


@dataclasses.dataclass(frozen=True)
class Adam:
    """The meta-optimizer (PROTOCOL 1.1), with TensorFlow 1's epsilon of 1e-8; Keras' default is 1e-7.

    As in TensorFlow 1 and Keras, the bias corrections are folded into the learning rate, and epsilon is added to the
    root of the uncorrected second moment (Kingma and Ba 2015, end of section 2).

    Attributes:
        learning_rate: a number, or a schedule: a function of the number of iterations done (int32 []) that returns the
            rate of the next one, such as a `keras.optimizers.schedules.LearningRateSchedule`. A schedule is traced, so
            it must be made of TensorFlow operations.
    """

    learning_rate: float | Callable[[tf.Tensor], tf.Tensor]
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, params: Sequence[tf.Tensor]) -> TrainingState:
        """The state before the first iteration."""
        return TrainingState.start(params)

    def apply(self, state: TrainingState, gradients: Sequence[tf.Tensor]) -> TrainingState:
        """The state after one step along `gradients`, which have the shapes of `state.params`."""
        dtype = gradients[0].dtype
        t = tf.cast(state.iteration + 1, dtype)
        learning_rate = self.learning_rate
        if callable(learning_rate):
            learning_rate = tf.cast(learning_rate(state.iteration), dtype)
        rate = learning_rate * tf.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        first = [self.beta1 * m + (1 - self.beta1) * g for m, g in zip(state.first_moments, gradients, strict=True)]
        second = [
            self.beta2 * v + (1 - self.beta2) * g * g for v, g in zip(state.second_moments, gradients, strict=True)
        ]
        params = [
            p - tf.cast(rate, p.dtype) * m / (tf.sqrt(v) + self.epsilon)
            for p, m, v in zip(state.params, first, second, strict=True)
        ]
        return TrainingState(state.iteration + 1, params, first, second)
