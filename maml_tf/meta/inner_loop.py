"""The inner loop: equation 1 of the paper."""

import tensorflow as tf


def adapt(loss_fn, params, support, step_size, num_steps, first_order=False, adaptable=None, recompute=False):
    """Takes `num_steps` steps of plain gradient descent on a task's support loss (equation 1).

    Pure: returns new parameters, assigns nothing, and an outer `tf.GradientTape` differentiates through all of it.
    The parameters may carry a leading task axis T; then `loss_fn` returns the T tasks' losses, and since each task's
    loss depends on its own copy only, the gradient of their sum holds every task's own gradient.

    Args:
        loss_fn: (params, support) -> loss [], or [T] for parameters with a task axis.
        params: list of tensors, theta.
        support: the adaptation data, handed to `loss_fn` as it is.
        step_size: alpha; a number or a scalar tensor.
        num_steps: gradient steps (0 is allowed).
        first_order: stop the gradient at the inner gradient, so that the meta-gradient is the query gradient at the
            adapted parameters (section 5.2; the authors' `stop_grad`).
        adaptable: a bool for each parameter; the others stay as they are. All by default.
        recompute: forget each step's intermediate values and compute them again when differentiating: less memory,
            more time.

    Returns:
        A list of `num_steps` parameter lists: theta after 1, 2, ... steps.

    Raises:
        ValueError: an adaptable parameter does not take part in the loss.
    """
    adaptable = [True] * len(params) if adaptable is None else list(adaptable)

    def one_step(*params):
        params = list(params)
        moving = [p for p, moves in zip(params, adaptable, strict=True) if moves]
        with tf.GradientTape() as tape:
            tape.watch(moving)
            loss = loss_fn(params, support)
        gradients = iter(tape.gradient(loss, moving))
        adapted = []
        for index, (p, moves) in enumerate(zip(params, adaptable, strict=True)):
            gradient = next(gradients) if moves else None
            if moves and gradient is None:
                raise ValueError(f"parameter {index} of shape {p.shape} is to be adapted but takes no part in the loss")
            if gradient is not None and first_order:
                gradient = tf.stop_gradient(gradient)
            adapted.append(p if gradient is None else p - step_size * gradient)
        return adapted

    step = _recomputing(one_step) if recompute else one_step
    after_each_step = []
    for _ in range(num_steps):
        params = step(*params)
        after_each_step.append(params)
    return after_each_step


def _recomputing(step):
    """`step` with its intermediate values computed again when it is differentiated.

    `tf.recompute_grad` cannot be used: it stops all recording inside the function, and with it the step's own gradient.
    """

    @tf.custom_gradient
    def forgetful(*params):
        def backward(*upstream):
            # Bound to the upstream gradients, the second computation is not merged with the first.
            with tf.control_dependencies(upstream):
                again = [tf.identity(p) for p in params]
            with tf.GradientTape() as tape:
                tape.watch(again)
                after = step(*again)
            return tape.gradient(after, again, upstream, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return step(*params), backward

    return forgetful
