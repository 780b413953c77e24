"""Batch norm and max-pool as one equal the two one after the other, up to the second derivative."""

import numpy as np
import pytest
import tensorflow as tf
from reference.norm_derivatives import derivatives

from maml_tf.models.batch_norm import given_statistics
from maml_tf.ops.batch_norm_max_pool import BatchNormMaxPool, max_pool


def case(shape, ties):
    """x, upstream, along and along_beta in float64, of numbers that float32 holds."""
    rng = np.random.default_rng(1)
    *leading, height, width, channels = shape
    x = rng.integers(0, 3, shape) if ties else rng.normal(1.0, 2.0, shape)
    others = (*leading, height // 2, width // 2, channels), shape, (channels,)
    return [np.float32(a).astype(np.float64) for a in (x, *(rng.normal(size=other) for other in others))]


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", [(3, 8, 6, 4), (5, 7, 9, 2)])
def test_the_fused_form_equals_the_written_out_one_in_float64(shape, ties, graph):
    given = case(shape, ties)
    found = {}
    for dtype in (tf.float32, tf.float64):
        layer = BatchNormMaxPool(dtype=dtype)
        layer.build((None, *shape[1:]))
        layer.beta.assign(np.arange(shape[-1]))
        assert layer.by_kernels(tf.zeros(shape, dtype)) == (dtype == tf.float32)
        function = tf.function(derivatives, autograph=False) if graph else derivatives
        found[dtype] = function(layer, *(tf.constant(array, dtype) for array in given))
    for one, other in zip(found[tf.float32], found[tf.float64], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5)


def test_a_third_derivative_is_refused():
    x, upstream, along, along_beta = (tf.constant(array, tf.float32) for array in case((3, 6, 6, 2), ties=False))
    layer = BatchNormMaxPool()
    layer.build((None, 6, 6, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        second = derivatives(layer, x, upstream, along, along_beta)[3]
    with pytest.raises(LookupError, match="fused_norm_and_pool has no third derivative"):
        tape.gradient(second, x)


def test_tasks_together_are_normalised_and_pooled_as_one_by_one():
    x = tf.constant(case((2, 3, 7, 6, 4), ties=False)[0], tf.float32)
    layer = BatchNormMaxPool()
    layer.build((None, 7, 6, 4))
    np.testing.assert_allclose(layer(x), tf.stack([layer(task) for task in x]), atol=1e-5)


def test_the_max_pool_is_that_of_tensorflow():
    x = tf.constant(case((3, 7, 6, 4), ties=True)[0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours, theirs = max_pool(x), tf.nn.max_pool2d(x, 2, 2, "VALID")
        totals = tf.reduce_sum(ours**3), tf.reduce_sum(theirs**3)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(*(tape.gradient(total, x) for total in totals))


@pytest.mark.parametrize("graph", [False, True])
def test_the_max_pool_of_one_task_equals_that_with_a_task_axis_in_value_and_derivatives(graph):
    rng = np.random.default_rng(5)
    x = tf.constant(rng.integers(0, 3, size=(1, 2, 7, 6, 3)), tf.float32)  # with ties, and an odd side

    def value_and_derivatives(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = max_pool(x * (1 + x))
                total = tf.reduce_sum(y**3)
            slope = inner.gradient(total, x)
            along = tf.reduce_sum(slope * tf.reshape(tf.range(252.0), slope.shape))
        return y, slope, outer.gradient(along, x)

    function = tf.function(value_and_derivatives, autograph=False) if graph else value_and_derivatives
    for one, together in zip(function(x[0]), function(x), strict=True):
        np.testing.assert_allclose(one, together[0], rtol=1e-5)


def test_the_max_pool_is_exact_in_its_second_derivative_under_xla():
    # The inputs of a window differ by less than bfloat16 resolves.
    x = 1 + 1e-4 * tf.random.stateless_normal([2, 3, 5, 5, 2], [1, 2])
    direction = tf.random.stateless_normal(x.shape, [3, 4])

    def hessian_vector_product(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(max_pool(x) ** 3)
            slope = tf.reduce_sum(inner.gradient(y, x) * direction)
        return max_pool(x), outer.gradient(slope, x)

    pooled, product = tf.function(hessian_vector_product, jit_compile=True)(x)
    expected = np.zeros(x.shape, np.float32)
    for t, n, row, column, channel in np.ndindex(*pooled.shape):
        window = x[t, n, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel].numpy()
        assert pooled[t, n, row, column, channel] == window.max()
        i, j = np.unravel_index(window.argmax(), (2, 2))
        at = (t, n, 2 * row + i, 2 * column + j, channel)
        expected[at] = 6 * x[at] * direction[at]
    np.testing.assert_allclose(product, expected, rtol=1e-5, atol=1e-6)


def test_of_equal_neighbours_the_first_takes_the_gradient_with_and_without_a_task_axis():
    for shape in ([1, 2, 2, 1], [1, 1, 2, 2, 1]):
        x = tf.ones(shape)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = max_pool(x)
        np.testing.assert_array_equal(tf.reshape(tape.gradient(y, x), [-1]), [1, 0, 0, 0])


@pytest.mark.parametrize("graph", [False, True])
def test_predicting_with_given_statistics_pools_first_and_gives_the_same_bits(graph):
    rng = np.random.default_rng(5)
    x = tf.constant(rng.normal(0.0, 3.0, (12, 9, 10, 16)), tf.float32)
    shift = tf.constant(rng.normal(size=16), tf.float32)
    mean, variance = (tf.constant(rng.uniform(0.01, 2.0, (1, 1, 1, 16)), tf.float32) for _ in range(2))
    layer = BatchNormMaxPool(name="norm")
    layer.build((None, 9, 10, 16))
    layer.beta.assign(rng.normal(size=16))

    def outputs(x, shift):
        pair = []
        for predict_only in (False, True):
            with given_statistics({"norm": (mean, variance)}, predict_only):
                pair.append(layer(x, shift))
        return pair

    plain, pooled_first = (tf.function(outputs, autograph=False) if graph else outputs)(x, shift)
    np.testing.assert_array_equal(pooled_first, plain)
