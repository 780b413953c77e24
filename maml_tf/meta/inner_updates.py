"""Inner updates: how one step of the inner loop turns weights and gradients into new weights.

Plain gradient descent (equation 1) is the paper's. Another rule, one with learned step sizes for example, is a
subclass of `InnerUpdate` in a file that registers it in `INNER_UPDATES`.
"""

import abc
import functools
from collections.abc import Mapping, Sequence

import tensorflow as tf

from maml_tf._registry import Registry
from maml_tf.errors import UsageError
from maml_tf.meta.structures import in_dtype


class InnerUpdate(abc.ABC):
    """One step of the inner loop.

    An inner update may have its own parameters. They are meta-learned together with the model's weights, and the inner
    loop leaves them as they are. theta is then `[*weights, *own parameters]`.
    """

    def initial_params(self, weights: Mapping[str, tf.Tensor], step_size: float) -> dict[str, tf.Tensor]:
        """The meta-parameters that this update adds, by name, at meta-iteration 0.

        Args:
            weights: the weights that the inner loop adapts, by name.
            step_size: alpha.
        """
        return {}

    @abc.abstractmethod
    def __call__(
        self,
        weights: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor | None],
        own: Sequence[tf.Tensor],
        step_size: float | tf.Tensor,
        step: int,
    ) -> list[tf.Tensor]:
        """The weights after one step. Made of differentiable TensorFlow operations; assigns nothing.

        Args:
            weights: all weights of the model. In vectorised execution each has a leading task axis T.
            gradients: the gradient of the support loss by each weight, of the weight's shape; None for a weight that
                the inner loop does not adapt, which must be returned unchanged.
            own: the parameters of `initial_params`, with the same leading task axis as the weights.
            step_size: alpha.
            step: the number of the step, from 0.
        """


INNER_UPDATES: Registry[type[InnerUpdate]] = Registry("inner update")


@INNER_UPDATES.register("gradient_descent")
class GradientDescent(InnerUpdate):
    """theta' = theta - alpha * gradient (equation 1)."""

    def __call__(self, weights, gradients, own, step_size, step):
        alpha = functools.partial(in_dtype, step_size)
        return [w if g is None else w - alpha(g.dtype) * g for w, g in zip(weights, gradients, strict=True)]


def chosen_update(inner_update: InnerUpdate | None) -> InnerUpdate:
    """An inner update; gradient descent where there is none.

    Raises:
        UsageError: it is something else, such as a class.
    """
    if inner_update is None:
        return GradientDescent()
    if not isinstance(inner_update, InnerUpdate):
        raise UsageError(f"inner_update: {inner_update!r} is not allowed; expected an object of an InnerUpdate")
    return inner_update
