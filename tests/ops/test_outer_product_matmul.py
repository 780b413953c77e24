"""The product with few rows equals `tf.matmul`, and so do its derivatives."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.functional import functional_call
from maml_tf.models.mlp import MLP
from maml_tf.ops.outer_product_matmul import MAX_KERNEL_SIZE, MAX_ROWS, outer_product_matmul, prefers_outer_products

T, N, IN, OUT = 3, 4, 5, 2


def derivatives(product, x, kernel):
    """The product, its gradient along a weighting, and that gradient's own along another, by both factors."""
    rng = np.random.default_rng(1)
    weights, by_x, by_kernel = (tf.constant(rng.normal(size=s)) for s in ((T, N, OUT), (T, N, IN), (T, IN, OUT)))
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch([x, kernel])
            y = product(x, kernel)
            loss = tf.reduce_sum(weights * y**2)
        first = inner.gradient(loss, [x, kernel])
        along = tf.reduce_sum(by_x * first[0]) + tf.reduce_sum(by_kernel * first[1])
    return [y, *first, *outer.gradient(along, [x, kernel])]


def test_product_and_derivatives_are_those_of_matmul():
    rng = np.random.default_rng(0)
    x, kernel = tf.constant(rng.normal(size=(T, N, IN))), tf.constant(rng.normal(size=(T, IN, OUT)))
    found, expected = (derivatives(product, x, kernel) for product in (outer_product_matmul, tf.matmul))
    for ours, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "kernel", "few"),
    [
        (MAX_ROWS, [T, IN, OUT], True),
        (MAX_ROWS + 1, [T, IN, OUT], False),
        (N, [T, IN, MAX_KERNEL_SIZE // IN + 1], False),
        (N, [IN, OUT], False),  # one kernel for all
        (None, [T, IN, OUT], False),  # any number of rows
    ],
)
def test_only_few_rows_and_small_kernels_of_each_task(rows, kernel, few):
    assert prefers_outer_products(tf.TensorSpec([T, rows, IN]), tf.TensorSpec(kernel)) is few


@pytest.mark.parametrize(("rows", "taken"), [(N, True), (MAX_ROWS + 1, False)])
def test_a_network_takes_it_for_few_rows(rows, taken):
    model = MLP(1, (IN,), OUT)
    params = [tf.zeros([T, *variable.shape]) for variable in model.trainable_variables]

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(params)
            y = functional_call(model, params, x)
        return tape.gradient(y, params)

    graph = gradient.get_concrete_function(tf.TensorSpec([T, rows, 1])).graph
    products = [op for op in graph.get_operations() if op.type.startswith("BatchMatMul")]
    assert products
    assert any(op.get_attr("adj_x") for op in products) is not taken
