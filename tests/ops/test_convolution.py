"""Convolutions against `tf.nn.conv2d`: a kernel for each task, and float32 sums of bfloat16 products."""

import numpy as np
import pytest
import tensorflow as tf
from reference.rounding import gamma

from maml_tf.ops.convolution import convolution, task_convolution


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 28])
def test_a_kernel_for_each_task(stride, side):
    x = tf.random.stateless_normal([2, 3, side, side, 2], [1, 2])
    kernel = tf.random.stateless_normal([2, 3, 3, 2, 4], [3, 4])
    found = task_convolution(x, kernel, stride)
    for task in range(2):
        expected = tf.nn.conv2d(x[task], kernel[task], stride, "SAME")
        np.testing.assert_allclose(found[task], expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_products_are_summed_in_float32(stride):
    """The gradient by the kernel, whose sums are the longest, included; without bfloat16 instructions too."""
    rng = np.random.default_rng(0)
    shapes = (3, 48, 48, 2), (3, 3, 2, 3), (3, 48 // stride, 48 // stride, 3)
    x, kernel, upstream = (tf.constant(rng.uniform(1, 2, shape), tf.bfloat16) for shape in shapes)

    def product_and_gradients(convolve, *factors):
        with tf.GradientTape() as tape:
            tape.watch(factors)
            y = convolve(*factors)
        return [y, *tape.gradient(y, factors, tf.cast(upstream, y.dtype))]

    found = product_and_gradients(lambda x, kernel: convolution(x, kernel, stride), x, kernel)
    expected = product_and_gradients(
        lambda x, kernel: tf.nn.conv2d(x, kernel, stride, "SAME"), tf.cast(x, tf.float64), tf.cast(kernel, tf.float64)
    )
    # All factors are positive: float32 sums round once a term, at most, and the result is rounded to bfloat16.
    allowed = gamma(3 * 48 * 48) + gamma(1, tf.bfloat16.as_numpy_dtype)
    for ours, exact in zip(found, expected, strict=True):
        assert ours.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(ours, tf.float64), exact, rtol=allowed)
