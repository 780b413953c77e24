"""Convolutions: with float32 sums of bfloat16 products, and with a different kernel for each task.

The plain form of both is `tf.nn.conv2d`; tests/ops/test_convolution.py compares them.
"""

import functools

import tensorflow as tf

from maml_tf.ops.shapes import sizes


def convolution(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """`tf.nn.conv2d` with SAME padding. Products of bfloat16 factors are summed in float32, in derivatives too.

    Args:
        x: [n, height, width, channels].
        kernel: [size, size, channels, filters].
        stride: in both directions.

    Returns:
        [n, height / stride, width / stride, filters], sides rounded up.
    """
    if x.dtype != tf.bfloat16 or _sums_bfloat16_in_float32():
        return tf.nn.conv2d(x, kernel, strides=stride, padding="SAME")
    product = tf.nn.conv2d(tf.cast(x, tf.float32), tf.cast(kernel, tf.float32), strides=stride, padding="SAME")
    return tf.cast(product, tf.bfloat16)


@functools.cache
def _sums_bfloat16_in_float32():
    """Whether TensorFlow's kernels for bfloat16 convolutions sum in float32 on this machine.

    On processors without instructions for bfloat16 the gradient by the kernel is summed in bfloat16. A sum of ones
    stops at 256 there, so long sums lose most of their terms.
    """
    with tf.init_scope():
        ones = tf.ones((1, 64, 64, 1), tf.bfloat16)
        gradient = tf.raw_ops.Conv2DBackpropFilter(
            input=ones, filter_sizes=[3, 3, 1, 1], out_backprop=ones, strides=[1, 1, 1, 1], padding="SAME"
        )
        return float(gradient[1, 1, 0, 0]) == 64 * 64


def task_convolution(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Convolves the images of each task with that task's kernel, with TensorFlow's SAME padding.

    The patches of the images are gathered and multiplied by the kernels: one batched matrix product, which XLA compiles
    well.

    Args:
        x: [T, n, height, width, channels].
        kernel: [T, size, size, channels, filters].
        stride: in both directions.

    Returns:
        [T, n, height / stride, width / stride, filters], sides rounded up.
    """
    T, n, height, width, channels = sizes(x)
    size, filters = kernel.shape[1], kernel.shape[-1]
    out_height, out_width = -(-height // stride), -(-width // stride)
    pad_height = max((out_height - 1) * stride + size - height, 0)
    pad_width = max((out_width - 1) * stride + size - width, 0)
    x = tf.pad(
        x,
        [
            [0, 0],
            [0, 0],
            [pad_height // 2, pad_height - pad_height // 2],
            [pad_width // 2, pad_width - pad_width // 2],
            [0, 0],
        ],
    )
    patches = tf.concat(
        [
            x[
                :,
                :,
                row : row + (out_height - 1) * stride + 1 : stride,
                column : column + (out_width - 1) * stride + 1 : stride,
            ]
            for row in range(size)
            for column in range(size)
        ],
        axis=-1,
    )
    patches = tf.reshape(patches, [T, n * out_height * out_width, size * size * channels])
    kernel = tf.reshape(kernel, [T, size * size * channels, filters])
    return tf.reshape(tf.matmul(patches, kernel), [T, n, out_height, out_width, filters])
