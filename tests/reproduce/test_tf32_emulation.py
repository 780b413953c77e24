"""The emulation of GPUs' products: every factor has ten bits, in the products and in their first two derivatives."""

import numpy as np
import pytest
import tensorflow as tf

from reproduce.studies.tf32_emulation import rounded, tf32_products


def draw(seed, *shape):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def with_ten_mantissa_bits(x):
    """By NumPy: one digit before the point and ten behind it."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    return np.ldexp(np.round(mantissa * 2**11) / 2**11, exponent).astype(np.float32)


def test_rounding_leaves_ten_bits():
    x = draw(0, 1000) * 10.0 ** np.linspace(-20, 20, 1000, dtype=np.float32)
    np.testing.assert_array_equal(rounded(x), with_ten_mantissa_bits(x))
    np.testing.assert_array_equal(rounded(tf.constant([0.0, 1.0, -1.0 - 2.0**-11])), [0.0, 1.0, -1.0 - 2.0**-10])


def derivatives(product, a, b, along, back):
    """The product, its derivative by `a` along `along`, and that one's by `along` and by `b`, along `back`."""
    with tf.GradientTape(persistent=True) as outer:
        outer.watch([along, b])
        with tf.GradientTape() as inner:
            inner.watch(a)
            y = product(a, b)
        by_a = inner.gradient(y, a, output_gradients=along)
    return y, by_a, *outer.gradient(by_a, [along, b], output_gradients=back)


@pytest.mark.parametrize("kind", ["matmul", "conv2d"])
def test_every_factor_of_a_product_and_its_derivatives_is_rounded(kind):
    if kind == "matmul":
        product = lambda a, b: tf.matmul(a, b)  # noqa: E731 (looked up when it is called, as by the models)
        tensors = draw(1, 5, 7), draw(2, 7, 4), draw(3, 5, 4), draw(4, 5, 7)
    else:
        product = lambda a, b: tf.nn.conv2d(a, b, strides=2, padding="SAME")  # noqa: E731
        tensors = draw(1, 2, 5, 5, 3), draw(2, 3, 3, 3, 4), draw(3, 2, 3, 3, 4), draw(4, 2, 5, 5, 3)
    with tf32_products():
        found = derivatives(product, *tensors)
    # y = a b, along b', then back b and along back: products of two of the four each, so rounding these is enough.
    expected = derivatives(product, *(tf.constant(with_ten_mantissa_bits(tensor)) for tensor in tensors))
    exact = derivatives(product, *tensors)
    for ours, theirs, unrounded in zip(found, expected, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        assert np.abs(ours - unrounded).max() > 1e-4
