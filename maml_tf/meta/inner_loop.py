"""The inner loop: equation 1 of the paper."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from maml_tf.meta.inner_updates import GradientDescent, InnerUpdate


def adapt(
    loss_fn: Callable[[list[tf.Tensor], Any], tf.Tensor],
    params: Sequence[tf.Tensor],
    support: Any,
    step_size: float | tf.Tensor,
    num_steps: int,
    *,
    first_order: bool = False,
    adaptable: Sequence[bool] | None = None,
    inner_update: InnerUpdate | None = None,
    gradient_checkpointing: bool = False,
) -> list[list[tf.Tensor]]:
    """Takes `num_steps` gradient steps on a task's support loss (equation 1).

    The function is pure: it returns new parameters and assigns nothing, and an outer `tf.GradientTape` differentiates
    through all of it. Parameters may carry a leading task axis T. Then `loss_fn` returns the T tasks' losses. Each
    task's loss depends on that task's parameters only, so the gradient of the sum holds every task's own gradient.

    Args:
        loss_fn: (weights, support) -> loss [], or [T] for parameters with a task axis.
        params: theta, a list of tensors: the weights, then the parameters that the inner update adds.
        support: the adaptation data, passed to `loss_fn` unchanged.
        step_size: alpha; a number or a scalar tensor.
        num_steps: number of gradient steps; 0 is allowed.
        first_order: stop the gradient at the inner gradient. The meta-gradient is then the query gradient at the
            adapted parameters (section 5.2; the authors' `stop_grad`).
        adaptable: one bool for each weight; the others stay unchanged. Parameters beyond its length belong to the
            inner update. By default every parameter is a weight and is adapted.
        inner_update: the rule of one step; gradient descent by default.
        gradient_checkpointing: do not keep the intermediate values of each step. They are computed a second time when
            the step is differentiated. Needs less memory and more time.

    Returns:
        A list of `num_steps` + 1 parameter lists: theta after 0, 1, ... `num_steps` steps.

    Raises:
        ValueError: an adaptable weight does not take part in the loss.
    """
    adaptable = [True] * len(params) if adaptable is None else list(adaptable)
    inner_update = inner_update or GradientDescent()

    def one_step(step: int, *params: tf.Tensor) -> list[tf.Tensor]:
        weights, own = list(params[: len(adaptable)]), list(params[len(adaptable) :])
        adapted = [w for w, is_adaptable in zip(weights, adaptable, strict=True) if is_adaptable]
        with tf.GradientTape() as tape:
            tape.watch(adapted)
            loss = loss_fn(weights, support)
        found = iter(tape.gradient(loss, adapted))
        gradients = [next(found) if is_adaptable else None for is_adaptable in adaptable]
        for index, (weight, is_adaptable) in enumerate(zip(weights, adaptable, strict=True)):
            if is_adaptable and gradients[index] is None:
                raise ValueError(
                    f"parameter {index} of shape {weight.shape} is to be adapted but takes no part in the loss"
                )
        if first_order:
            gradients = [g if g is None else tf.stop_gradient(g) for g in gradients]
        return [*inner_update(weights, gradients, own, step_size, step), *own]

    after = [list(params)]
    for index in range(num_steps):
        step = functools.partial(one_step, index)
        after.append((_checkpointed(step) if gradient_checkpointing else step)(*after[-1]))
    return after


def _checkpointed(step: Callable[..., list[tf.Tensor]]) -> Callable[..., list[tf.Tensor]]:
    """`step` with gradient checkpointing: its intermediate values are computed again when it is differentiated.

    `tf.recompute_grad` cannot be used. It stops all recording inside the function, and with it the step's own gradient.
    """

    @tf.custom_gradient
    def checkpointed(*params):
        def backward(*upstream):
            # The dependency on the upstream gradients keeps the second computation from being merged with the first.
            with tf.control_dependencies(upstream):
                again = [tf.identity(p) for p in params]
            with tf.GradientTape() as tape:
                tape.watch(again)
                after = step(*again)
            return tape.gradient(after, again, upstream, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return step(*params), backward

    return checkpointed
