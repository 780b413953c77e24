"""The fused batch norm against the plain form in float64, up to the second derivative."""

import numpy as np
import pytest
import tensorflow as tf
from reference.norm_derivatives import derivatives

from maml_tf.models.batch_norm import EPSILON, batch_norm
from maml_tf.ops.fused_batch_norm import MAX_VALUES_SUMMED_BY_KERNEL, channel_size, fused_batch_norm, statistics_of

SMALL, LARGE = (6, 5, 7, 4), (6, 14, 13, 4)  # statistics by the kernel, and computed beforehand


def fused(x, beta):
    return fused_batch_norm(x, beta, EPSILON)


def plain(x, beta):
    return batch_norm(x, beta, axes=[0, 1, 2])


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_values_and_derivatives_equal_the_plain_form(shape, graph):
    rng = np.random.default_rng(4)
    arrays = rng.normal(1.0, 2.0, shape), rng.normal(size=4), *rng.normal(size=(2, *shape)), rng.normal(size=4)
    arrays = [np.float32(array).astype(np.float64) for array in arrays]

    def of(normalise, dtype):
        function = tf.function(derivatives, autograph=False) if graph else derivatives
        return function(normalise, *(tf.constant(array, dtype) for array in arrays))

    for found, expected in zip(of(fused, tf.float32), of(plain, tf.float64), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("shape", [(75, 84, 84, 2), (20, 14, 14, 64)], ids=["mini-ImageNet", "Omniglot 20-way"])
def test_the_statistics_of_a_large_batch_are_exact_to_float32(shape):
    """TensorFlow's fused kernel has the variance of a channel wrong by 1e-4 at these sizes, and the meta-gradient with
    it by several per cent."""
    assert np.prod(shape[:3]) > MAX_VALUES_SUMMED_BY_KERNEL
    x = np.random.default_rng(6).normal(0.3, 0.2, size=shape).astype(np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + EPSILON)
    np.testing.assert_allclose(fused(tf.constant(x), tf.zeros(shape[-1])), expected, atol=4e-6)


def test_statistics_are_means_and_biased_variances_of_channels():
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 2))
    mean, variance = statistics_of(tf.constant(x))
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(variance, x.var((0, 1, 2)), rtol=1e-13)
    assert channel_size(tf.constant(x)) == 60.0


def test_a_third_derivative_is_refused():
    x, upstream, along = (tf.random.stateless_normal((3, 5, 5, 2), (1, i)) for i in range(3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        *_, by_x, _ = derivatives(fused, x, tf.ones(2), upstream, along, tf.zeros(2))
    with pytest.raises(LookupError, match="fused_batch_norm has no third derivative"):
        tape.gradient(by_x, x)
