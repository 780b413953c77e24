"""Batch norm and max-pool in one operation against one after the other in float64, up to the second derivative."""

import numpy as np
import pytest
import tensorflow as tf
from reference.norm_derivatives import derivatives

from maml_tf.models.batch_norm import EPSILON, batch_norm
from maml_tf.ops.batch_norm_max_pool import fused_batch_norm_max_pool


def fused(x, beta):
    return fused_batch_norm_max_pool(x, beta, EPSILON)


def plain(x, beta):
    return tf.nn.max_pool2d(batch_norm(x, beta, axes=[0, 1, 2]), 2, 2, "VALID")


def case(shape, ties):
    """x, beta, upstream, along and along_beta in float64, of numbers that float32 can represent."""
    rng = np.random.default_rng(1)
    n, height, width, channels = shape
    x = rng.integers(0, 3, shape) if ties else rng.normal(1.0, 2.0, shape)
    others = (n, height // 2, width // 2, channels), shape, (channels,)
    arrays = x, np.arange(channels), *(rng.normal(size=other) for other in others)
    return [np.float32(array).astype(np.float64) for array in arrays]


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", [(3, 8, 6, 4), (5, 7, 9, 2)])
def test_values_and_derivatives_equal_the_plain_form(shape, ties, graph):
    def of(normalise, dtype):
        function = tf.function(derivatives, autograph=False) if graph else derivatives
        return function(normalise, *(tf.constant(array, dtype) for array in case(shape, ties)))

    for found, expected in zip(of(fused, tf.float32), of(plain, tf.float64), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


def test_a_third_derivative_is_refused():
    x, *rest = (tf.constant(array, tf.float32) for array in case((3, 6, 6, 2), ties=False))
    with tf.GradientTape() as tape:
        tape.watch(x)
        second = derivatives(fused, x, *rest)[3]
    with pytest.raises(LookupError, match="fused_batch_norm_max_pool has no third derivative"):
        tape.gradient(second, x)
