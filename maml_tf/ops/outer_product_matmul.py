"""Matrix products of few rows with a kernel for each task, in a form whose derivatives XLA computes fast on a CPU.

The derivative of x W by W is x' dy, a product with a transposed factor, which XLA's CPU backend computes slowly. As a
sum of outer products, one for each row, it is a single pass over the result. That pays off for few rows and small
kernels only (benchmark workloads `sinusoid` and `growth`). The plain form is `tf.matmul`.
"""

from typing import Any

import tensorflow as tf

MAX_ROWS = 10
MAX_KERNEL_SIZE = 100 * 100


def prefers_outer_products(x: tf.Tensor, kernel: tf.Tensor) -> bool:
    """Whether x [T, n, in] and kernel [T, in, out] have sizes for which `outer_product_matmul` is the faster form."""
    if kernel.shape.rank != 3 or x.shape.rank != 3 or x.shape[1] is None:
        return False
    return x.shape[1] <= MAX_ROWS and kernel.shape[1] * kernel.shape[2] <= MAX_KERNEL_SIZE


@tf.custom_gradient
def outer_product_matmul(x: tf.Tensor, kernel: tf.Tensor) -> Any:
    """x [T, n, in] times kernel [T, in, out] -> [T, n, out]; it has derivatives of every order."""
    return tf.matmul(x, kernel), lambda dy: (_times_transposed(dy, kernel), _sum_of_outer_products(x, dy))


@tf.custom_gradient
def _times_transposed(dy, kernel):
    """dy [T, n, out] W' -> [T, n, in]."""
    dx = tf.matmul(dy, kernel, transpose_b=True)
    return dx, lambda g: (outer_product_matmul(g, kernel), _sum_of_outer_products(g, dy))


@tf.custom_gradient
def _sum_of_outer_products(x, dy):
    """x' dy -> [T, in, out]."""
    outer = [x[:, row, :, tf.newaxis] * dy[:, row, tf.newaxis, :] for row in range(x.shape[1])]
    return tf.add_n(outer), lambda g: (_times_transposed(dy, g), outer_product_matmul(x, g))
