"""Dense and convolutional layers whose parameters may carry a leading task axis.

With plain parameters they do what Keras' layers do. With parameters of shape [T, ...] and inputs of shape [T, n, ...]
they run T differently adapted copies at once, as batched matrix products: the form that XLA compiles well.
"""

import functools

import keras
import tensorflow as tf

from maml_tf.ops.outer_product_matmul import has_few_rows, outer_product_matmul


class Dense(keras.layers.Layer):
    """x [n, in] -> x W + b [n, units]; or [T, n, in] -> [T, n, units] with W [T, in, units] and b [T, units].

    Called with `updates` as well, W and b stay those that all tasks share, and what each task's gradient steps have
    taken from them is given as factors, a pair of s [T, m, in] and d [T, m, units] for each step: task t's kernel is
    W - s[t]' d[t], its bias b - the sum of d[t] over m. Neither is written out (`maml_tf/ops/low_rank_updates.py`).
    """

    def __init__(self, units, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x, updates=None):
        kernel, bias = tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias)
        if updates is not None:
            T, n, size = x.shape
            y = tf.reshape(tf.matmul(tf.reshape(x, [T * n, size]), kernel), [T, n, self.units]) + bias
            for s, d in updates:
                y -= tf.matmul(tf.matmul(x, s, transpose_b=True), d) + tf.reduce_sum(d, axis=1, keepdims=True)
            return y
        product = outer_product_matmul if has_few_rows(x, kernel) else tf.matmul
        return product(x, kernel) + bias[..., tf.newaxis, :]


class Conv2D(keras.layers.Layer):
    """3x3-style convolution with TensorFlow's SAME padding and a bias.

    x [n, height, width, in] -> [n, height / stride, width / stride, filters] (rounded up); with a kernel
    [T, size, size, in, filters] and a bias [T, filters] every axis gets T in front.

    SAME with stride 2 pads an even side only at the bottom and right: (0, 1), not (1, 1) (PROTOCOL 2.3).
    """

    def __init__(self, filters, size=3, stride=1, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.size = size
        self.stride = stride
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(self.size, self.size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x, add_bias=True):
        """The convolution; without its bias where what comes next makes that superfluous (see BatchNorm)."""
        kernel = tf.convert_to_tensor(self.kernel)
        convolve = _convolve if kernel.shape.rank == 4 else _convolve_per_task
        y = convolve(x, kernel, self.stride)
        if not add_bias:
            return y
        return y + tf.convert_to_tensor(self.bias)[..., tf.newaxis, tf.newaxis, tf.newaxis, :]


def _convolve(x, kernel, stride):
    """`tf.nn.conv2d` with SAME padding; products of bfloat16 factors are added up in float32, in derivatives too."""
    if x.dtype != tf.bfloat16 or _adds_bfloat16_in_float32():
        return tf.nn.conv2d(x, kernel, strides=stride, padding="SAME")
    product = tf.nn.conv2d(tf.cast(x, tf.float32), tf.cast(kernel, tf.float32), strides=stride, padding="SAME")
    return tf.cast(product, tf.bfloat16)


@functools.cache
def _adds_bfloat16_in_float32():
    """Whether TensorFlow's kernels for bfloat16 convolutions add up in float32 on this machine.

    On processors without instructions for bfloat16 the gradient with respect to the kernel is added up in bfloat16. A
    sum of ones stops at 256 there, so long sums lose most of their terms.
    """
    with tf.init_scope():
        ones = tf.ones((1, 64, 64, 1), tf.bfloat16)
        gradient = tf.raw_ops.Conv2DBackpropFilter(
            input=ones, filter_sizes=[3, 3, 1, 1], out_backprop=ones, strides=[1, 1, 1, 1], padding="SAME"
        )
        return float(gradient[1, 1, 0, 0]) == 64 * 64


def _convolve_per_task(x, kernel, stride):
    """Convolution with a kernel for each task, as gathered patches times a matrix; x [T, n, h, w, c]."""
    T, n, height, width, channels = x.shape
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
