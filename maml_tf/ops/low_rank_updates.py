"""The inner loop without writing out a task's adapted kernels, for dense layers with few rows and large kernels.

A gradient step takes alpha x' d from a kernel, where x [n, in] is what the layer saw of the support set and d [n, out]
the derivative of the loss by what it made of it. With n images, n far below the kernel's sides, it costs less to keep
the two factors than their product: what the adapted layer makes of other rows q is

    q (W - alpha x' d) = q W - alpha (q x') d,

a product with the kernel that all tasks share and two small ones. The same goes for the derivatives of all this, which
automatic differentiation makes of the same pieces. For Omniglot's fully connected network with one shot (32 tasks, 246
thousand numbers in kernels, 5 rows) a meta-gradient takes 0.22 of the time, with five shots 0.44.

It is `adapt` in another order of summation; tests/ops/test_low_rank_updates.py compares the two.
"""

import tensorflow as tf

from maml_tf.meta.functional import functional_call


def low_rank_task_losses(learner, params, batch):
    """The query losses, [T], of `MAML.task_losses`, for a model that can be called with updates (see `MLP`).

    Args:
        learner: a MAML.
        params: theta, without a task axis.
        batch: a TaskBatch.
    """

    def outputs(x, updates):
        return functional_call(learner.model, params, x, updates, method="call_with_updates")

    updates = None
    for _ in range(learner.num_steps):
        with tf.GradientTape() as tape:
            tape.watch(params)  # so that what follows is recorded; the derivatives are by the layers' products
            logits, passed = outputs(batch.support_x, updates)
            loss = learner.loss(batch.support_y, logits)
        derivatives = tape.gradient(loss, [product for _, product in passed])
        factors = [(x, learner.step_size * d) for (x, _), d in zip(passed, derivatives, strict=True)]
        if learner.first_order:
            factors = tf.nest.map_structure(tf.stop_gradient, factors)
        updates = [[*before, pair] for before, pair in zip(updates or [[] for _ in factors], factors, strict=True)]
    predictions, _ = outputs(batch.query_x, updates)
    return learner.loss(batch.query_y, predictions)
