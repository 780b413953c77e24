"""The inner loop without materialised adapted kernels, for dense layers with few rows and large kernels.

A gradient step subtracts alpha x' d from a kernel W, where x [n, in] is the layer's input on the support set and
d [n, out] the derivative of the loss by the layer's product x W. This update has rank n. If n is far below the sides of
W, it costs less to keep the two factors than their product. Applied to other rows q, the adapted layer gives

    q (W - alpha x' d) = q W - alpha (q x') d,

one product with the kernel that all tasks share and two small ones. Automatic differentiation finds the derivatives in
the same form. The benchmark workloads `omniglot_5way_1shot_nonconv` and `growth` compare the two.

The result is that of `adapt` in another order of summation; tests/ops/test_low_rank_updates.py compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from maml_tf.meta.functional import functional_call

if TYPE_CHECKING:
    from maml_tf.meta.maml import MAML
    from maml_tf.tasks.base import TaskBatch

# For each inner step (x [T, n, in], d [T, n, out]); the kernel of task t is W - the sum over steps of x[t]' d[t].
Updates = Sequence[tuple[tf.Tensor, tf.Tensor]]


def low_rank_task_losses(
    learner: MAML, params: Sequence[tf.Tensor], batch: TaskBatch
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The query loss of each task after its inner steps, [T], and no state: the same as `MAML.task_loss` of each.

    Args:
        learner: a MAML whose model has a method `call_with_updates` (see `MLP`).
        params: theta, without a task axis.
        batch: T tasks.
    """

    def outputs(x, updates):
        return functional_call(learner.model, params, x, updates, method="call_with_updates")

    support_x, support_y, query_x, query_y = batch
    support_x, query_x = (tf.cast(x, params[0].dtype) for x in (support_x, query_x))
    updates = None
    for _ in range(learner.num_steps):
        with tf.GradientTape() as tape:
            tape.watch(params)  # so that the forward pass is recorded; the derivatives are by the layers' products
            predictions, layers = outputs(support_x, updates)
            loss = learner.loss(support_y, predictions, task_axis=True)
        derivatives = tape.gradient(loss, [product for _, product in layers])
        factors = [(x, learner.step_size * d) for (x, _), d in zip(layers, derivatives, strict=True)]
        if learner.first_order:
            factors = tf.nest.map_structure(tf.stop_gradient, factors)
        updates = [[*before, pair] for before, pair in zip(updates or [[] for _ in factors], factors, strict=True)]
    predictions, _ = outputs(query_x, updates)
    return learner.loss(query_y, predictions, task_axis=True), []


def dense_with_updates(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, updates: Updates) -> tf.Tensor:
    """A dense layer for T tasks whose kernels and biases share W and b and differ by low-rank updates.

    Args:
        x: inputs [T, n, in].
        kernel, bias: W [in, units] and b [units].
        updates: the factors of every inner step. Task t's kernel is W minus the sum of s[t]' d[t], its bias b minus the
            sum of the rows of d[t].

    Returns:
        [T, n, units]
    """
    T, n, size = x.shape
    units = kernel.shape[-1]
    y = tf.reshape(tf.matmul(tf.reshape(x, [T * n, size]), kernel), [T, n, units]) + bias
    for s, d in updates:
        y -= tf.matmul(tf.matmul(x, s, transpose_b=True), d) + tf.reduce_sum(d, axis=1, keepdims=True)
    return y
