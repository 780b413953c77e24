"""Products as GPUs' tensor cores compute them by default in TensorFlow (TensorFloat-32), on any processor.

Every factor of a float32 product is rounded to ten bits behind the binary point, the products are added up in float32.
"""

import contextlib
import unittest.mock

import tensorflow as tf

DROPPED = 13  # of float32's 23 bits


@contextlib.contextmanager
def tf32_products():
    """Inside, models compute convolutions and matrix products so, and all derivatives of them, of any order."""
    replaced = unittest.mock.patch.object
    with replaced(tf.nn, "conv2d", _by_ten_bits(tf.nn.conv2d)), replaced(tf, "matmul", _by_ten_bits(tf.matmul)):
        yield


def rounded(x):
    """float32 `x` to the nearest number with ten bits behind the binary point; halves away from zero."""
    bits = tf.bitcast(x, tf.uint32) + tf.constant(1 << (DROPPED - 1), tf.uint32)
    kept = tf.constant(0xFFFFFFFF << DROPPED & 0xFFFFFFFF, tf.uint32)
    return tf.bitcast(tf.bitwise.bitwise_and(bits, kept), tf.float32)


def _by_ten_bits(product):
    return lambda a, b, *args, **kwargs: _result(product(_factor(a), _factor(b), *args, **kwargs))


# With y = a b, the derivatives are the products da = dy b and db = dy a: what comes back to a result is a factor there,
# and what comes back from them, in the second derivative, again. Rounding itself counts as having the derivative 1.
@tf.custom_gradient
def _factor(x):
    return rounded(x), _result


@tf.custom_gradient
def _result(y):
    return tf.identity(y), _factor
