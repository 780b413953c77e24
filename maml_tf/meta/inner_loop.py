"""The inner loop: equation 1 of the paper."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from maml_tf.meta.arguments import number, whole_number
from maml_tf.meta.compiled import compiled
from maml_tf.meta.inner_updates import GradientDescent, InnerUpdate
from maml_tf.meta.structures import dense

# In a graph of more steps than this, the gradient is traced once for all of them, as a function of its own. Otherwise
# each step looks at the graph of all steps before it: a hundred steps of a network with batch norm take minutes.
MANY_STEPS = 10


def adapt(
    loss_fn: Callable[..., Any],
    params: Sequence[tf.Tensor],
    support: Any,
    step_size: float | tf.Tensor,
    num_steps: int,
    *,
    first_order: bool = False,
    adaptable: Sequence[bool] | None = None,
    inner_update: InnerUpdate | None = None,
    num_state: int | None = None,
    gradient_checkpointing: bool = False,
) -> list[list[tf.Tensor]]:
    """Takes `num_steps` gradient steps on a task's support loss (equation 1).

    The function is pure: it returns new parameters and assigns nothing, and an outer `tf.GradientTape` differentiates
    through all of it. Parameters may carry a leading task axis T. Then `loss_fn` returns the T tasks' losses. Each
    task's loss depends on that task's parameters only, so the gradient of the sum holds every task's own gradient.

    Args:
        loss_fn: (weights, support) -> loss [], or [T] for parameters with a task axis. With `num_state`
            (weights, support, state) -> (loss, state after the call).
        params: theta, a list of tensors: the weights, then the parameters that the inner update adds, then the state.
        support: the adaptation data, passed to `loss_fn` unchanged.
        step_size: alpha; a number or a scalar tensor.
        num_steps: number of gradient steps; 0 is allowed.
        first_order: stop the gradient at the inner gradient. The meta-gradient is then the query gradient at the
            adapted parameters (section 5.2; the authors' `stop_grad`).
        adaptable: one bool for each weight; the others stay unchanged. Parameters beyond its length belong to the
            inner update or are state. By default every parameter but the state is a weight and is adapted.
        inner_update: the rule of one step; gradient descent by default.
        num_state: the number of parameters at the end of theta that are not adapted but that each call of the loss
            changes: running statistics and the states of seed generators. None: the loss has no state.
        gradient_checkpointing: do not keep the intermediate values of each step. They are computed a second time when
            the step is differentiated. Needs less memory and more time.

    Returns:
        A list of `num_steps` + 1 parameter lists: theta after 0, 1, ... `num_steps` steps. `inner_steps` yields them
        one by one, in the memory of one of them.

    Raises:
        UsageError: `num_steps` or `step_size` is no such number.
        ValueError: an adaptable weight does not take part in the loss.
    """
    return list(
        inner_steps(
            loss_fn,
            params,
            support,
            step_size,
            num_steps,
            first_order=first_order,
            adaptable=adaptable,
            inner_update=inner_update,
            num_state=num_state,
            gradient_checkpointing=gradient_checkpointing,
        )
    )


def inner_steps(
    loss_fn: Callable[..., Any],
    params: Sequence[tf.Tensor],
    support: Any,
    step_size: float | tf.Tensor,
    num_steps: int,
    *,
    first_order: bool = False,
    adaptable: Sequence[bool] | None = None,
    inner_update: InnerUpdate | None = None,
    num_state: int | None = None,
    gradient_checkpointing: bool = False,
) -> Iterator[list[tf.Tensor]]:
    """Yields theta after 0, 1, ... `num_steps` gradient steps, with the arguments of `adapt`."""
    num_steps, step_size = whole_number("num_steps", num_steps, 0), number("step_size", step_size)
    own_end = len(params) - (num_state or 0)
    adaptable = [True] * own_end if adaptable is None else list(adaptable)
    inner_update = inner_update or GradientDescent()

    def gradients_of(
        weights: list[tf.Tensor], state: list[tf.Tensor]
    ) -> tuple[list[tf.Tensor | None], list[tf.Tensor]]:
        """(the gradients of the adapted weights, the state after the call)"""
        adapted = [w for w, is_adaptable in zip(weights, adaptable, strict=True) if is_adaptable]
        with tf.GradientTape() as tape:
            tape.watch(adapted)
            if num_state is None:
                loss = loss_fn(weights, support)
            else:
                loss, state = loss_fn(weights, support, state)
        return [*map(dense, tape.gradient(loss, adapted))], state

    if num_steps > MANY_STEPS and not tf.executing_eagerly():
        gradients_of = compiled(gradients_of)

    def one_step(step: int, *params: tf.Tensor) -> list[tf.Tensor]:
        weights, own, state = list(params[: len(adaptable)]), params[len(adaptable) : own_end], params[own_end:]
        found, state = gradients_of(weights, list(state))
        found = iter(found)
        gradients = [next(found) if is_adaptable else None for is_adaptable in adaptable]
        for index, (weight, is_adaptable) in enumerate(zip(weights, adaptable, strict=True)):
            if is_adaptable and gradients[index] is None:
                raise ValueError(
                    f"parameter {index} of shape {weight.shape} is to be adapted but takes no part in the loss"
                )
        if first_order:
            gradients = [g if g is None else tf.stop_gradient(g) for g in gradients]
        return [*inner_update(weights, gradients, list(own), step_size, step), *own, *state]

    theta = list(params)
    yield theta
    for index in range(num_steps):
        step = functools.partial(one_step, index)
        theta = (_checkpointed(step) if gradient_checkpointing else step)(*theta)
        yield theta


def _checkpointed(step: Callable[..., list[tf.Tensor]]) -> Callable[..., list[tf.Tensor]]:
    """`step` with gradient checkpointing: its intermediate values are computed again when it is differentiated.

    `tf.recompute_grad` cannot be used. It stops all recording inside the function, and with it the step's own gradient.
    """

    @tf.custom_gradient
    def checkpointed(*params):
        def backward(*upstream, variables=None):
            # The dependency on the upstream gradients keeps the second computation from being merged with the first.
            # Seeds are integers and have no gradient.
            floating = [p.dtype.is_floating for p in params]
            with tf.control_dependencies(_where(upstream, floating)):
                again = [tf.identity(p) for p in params]
            with tf.GradientTape() as tape:
                tape.watch(_where(again, floating))
                after = step(*again)
            found = tape.gradient(
                _where(after, floating),
                _where(again, floating),
                _where(upstream, floating),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            found = iter(map(dense, found))
            gradients = [next(found) if is_floating else None for is_floating in floating]
            return gradients if variables is None else (gradients, [None] * len(variables))

        return step(*params), backward

    return checkpointed


def _where(tensors, wanted):
    """The entries whose flag is true."""
    return [tensor for tensor, is_wanted in zip(tensors, wanted, strict=True) if is_wanted]
