"""TensorFloat-32 on any processor: products as the tensor cores of GPUs compute them by default in TensorFlow.

Each factor of a float32 product is rounded to a mantissa of ten bits. The products are summed in float32.
"""

import contextlib
import unittest.mock
from collections.abc import Callable, Iterator

import tensorflow as tf

DROPPED = 13  # of the 23 bits of a float32 mantissa


@contextlib.contextmanager
def tf32_products() -> Iterator[None]:
    """A context in which models compute convolutions, matrix products and their derivatives of any order in TF32."""
    replaced = unittest.mock.patch.object
    with replaced(tf.nn, "conv2d", _in_tf32(tf.nn.conv2d)), replaced(tf, "matmul", _in_tf32(tf.matmul)):
        yield


def rounded(x: tf.Tensor) -> tf.Tensor:
    """float32 `x` rounded to the nearest number with a mantissa of ten bits; ties away from zero."""
    bits = tf.bitcast(x, tf.uint32) + tf.constant(1 << (DROPPED - 1), tf.uint32)
    kept = tf.constant(0xFFFFFFFF << DROPPED & 0xFFFFFFFF, tf.uint32)
    return tf.bitcast(tf.bitwise.bitwise_and(bits, kept), tf.float32)


def _in_tf32(product: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    return lambda a, b, *args, **kwargs: _result(product(_factor(a), _factor(b), *args, **kwargs))


# With y = a b, the derivatives are the products da = dy b and db = dy a. So the gradient of a result is a factor of
# these products, and the gradient of a factor is a result. Rounding is given the derivative 1.
@tf.custom_gradient
def _factor(x):
    return rounded(x), _result


@tf.custom_gradient
def _result(y):
    return tf.identity(y), _factor
