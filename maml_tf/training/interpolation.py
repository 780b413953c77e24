"""The outer update of Reptile: theta moves a part of the way to the adapted parameters."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from maml_tf.meta.structures import in_dtype
from maml_tf.training.adam import TrainingState


@dataclasses.dataclass(frozen=True)
class Interpolation:
    """theta <- theta + epsilon (phi - theta): gradient descent by epsilon, where the gradients are theta - phi.

    The state is Adam's, with moments that stay 0, so that trainings are saved and exported in one form.

    Attributes:
        learning_rate: epsilon, a number or a schedule (see `Adam`).
    """

    learning_rate: float | Callable[[tf.Tensor], tf.Tensor]

    def start(self, params: Sequence[tf.Tensor]) -> TrainingState:
        """The state before the first iteration."""
        return TrainingState.start(params)

    def apply(self, state: TrainingState, gradients: Sequence[tf.Tensor]) -> TrainingState:
        """The state after one step along `gradients`, which have the shapes of `state.params`."""
        epsilon = self.learning_rate(state.iteration) if callable(self.learning_rate) else self.learning_rate
        params = [p - in_dtype(epsilon, p.dtype) * g for p, g in zip(state.params, gradients, strict=True)]
        return state._replace(iteration=state.iteration + 1, params=params)
