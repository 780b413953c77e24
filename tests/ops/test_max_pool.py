"""The max-pool against TensorFlow's, with and without a task axis, in value and derivatives."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.ops.max_pool import at_maxima, max_pool, max_pool_cut, scatter_to_maxima


def windows(shape, ties):
    """Images in float64, with or without equal neighbours."""
    rng = np.random.default_rng(1)
    return tf.constant(np.float64(rng.integers(0, 3, shape)) if ties else rng.normal(size=shape))


def test_the_max_pool_is_that_of_tensorflow():
    x = windows((3, 7, 6, 4), ties=True)
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
    for one, vectorized in zip(function(x[0]), function(x), strict=True):
        np.testing.assert_allclose(one, vectorized[0], rtol=1e-5)


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


@pytest.mark.parametrize("ties", [False, True])
def test_taking_from_the_maxima_and_putting_back_are_transposes(ties):
    x, values = windows((3, 7, 6, 4), ties), windows((3, 7, 6, 4), False)
    pooled = tf.random.stateless_normal((3, 3, 3, 4), (1, 2), dtype=tf.float64)
    taken, put = at_maxima(x, values), scatter_to_maxima(pooled, x)
    assert put.shape == x.shape
    np.testing.assert_allclose(tf.reduce_sum(taken * pooled), tf.reduce_sum(values * put), rtol=1e-12)
    np.testing.assert_array_equal(at_maxima(x, put), pooled)


def hessian(function, w):
    """The Hessian of a scalar function as TensorFlow differentiates it: row i is the derivative of the slope by w_i."""
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(w)
        with tf.GradientTape() as inner:
            inner.watch(w)
            loss = function(w)
        slope = inner.gradient(loss, w)
    return outer.jacobian(slope, w, experimental_use_pfor=False)


@pytest.mark.parametrize("leading", [(2,), (1, 2)])
def test_the_cut_max_pool_is_a_max_pool_with_a_constant_first_derivative(leading):
    x = windows((*leading, 7, 6, 3), ties=True)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        cut, exact = max_pool_cut(x), max_pool(x)
        totals = tf.reduce_sum(cut**3), tf.reduce_sum(exact**3)
    np.testing.assert_array_equal(cut, exact)
    np.testing.assert_array_equal(*(tape.gradient(total, x) for total in totals))


def test_the_second_derivative_is_cut_at_the_max_pool_by_hand():
    # loss = (w2 pool(w1 x))^2 / 2 of one window whose maximum is m. The gradient by w1 reaches w1 through the pool: the
    # program treats it as a constant. The gradient by w2 uses the pool's output, which is differentiated as usual.
    m, w = 3.0, tf.constant([2.0, 5.0], tf.float64)
    x = tf.constant([[1.0, m], [0.5, -1.0]], tf.float64)[None, :, :, None]

    def loss(pool):
        return lambda w: tf.reduce_sum((w[1] * pool(w[0] * x)) ** 2) / 2

    w1, w2 = w.numpy()
    np.testing.assert_allclose(
        hessian(loss(max_pool), w), m**2 * np.array([[w2**2, 2 * w1 * w2], [2 * w1 * w2, w1**2]])
    )
    np.testing.assert_allclose(hessian(loss(max_pool_cut), w), m**2 * np.array([[0, 0], [2 * w1 * w2, w1**2]]))
