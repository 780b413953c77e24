"""The paper's convolutional classifiers (section 5.2; PROTOCOL 2.3 and 2.6)."""

import functools

import keras
import tensorflow as tf

from maml_tf.models.batch_norm import BatchNorm
from maml_tf.models.layers import Conv2D, Dense

BLOCKS = (1, 2, 3, 4)


class _FourBlocks(keras.Model):
    """Four blocks of 3x3 convolution -> batch norm -> ReLU -> `pool`, then `flat` features into a dense layer."""

    takes_task_axis = True
    stride = 1
    output_initializer = keras.initializers.GlorotUniform

    def __init__(self, image_shape, ways, filters, dtype):
        kept = keras.dtype_policies.get(dtype).variable_dtype  # what is mixed are the products of the convolutions
        super().__init__(dtype=kept)
        self.convolutions = [Conv2D(filters, stride=self.stride, name=f"conv_{i}", dtype=dtype) for i in BLOCKS]
        self.norms = [BatchNorm(name=f"norm_{i}", dtype=kept) for i in BLOCKS]
        self.output_layer = Dense(ways, self.output_initializer(), name="output", dtype=kept)
        self(keras.ops.zeros((1, *image_shape), dtype=kept))

    def features(self, x):
        """What the output layer sees, [..., features], of images [..., height, width, channels]."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x, add_bias=False), tf.convert_to_tensor(convolution.bias))
            x = tf.nn.relu(self.pool(x))  # a max-pool and ReLU may change places, and behind it fewer numbers pass
        return self.flat(x)

    def call(self, x):
        return self.output_layer(self.features(x))


class OmniglotConv(_FourBlocks):
    """Four blocks of 3x3 convolution with stride 2 -> batch norm -> ReLU, the mean over space, a dense layer.

    28 -> 14 -> 7 -> 4 -> 2 pixels a side; the mean over the last 2x2 leaves `filters` features. The dense kernel starts
    from a normal distribution with standard deviation 1.0, here only (the authors' code).

    Args:
        image_shape: (height, width, channels).
        ways: N, the number of logits.
        filters: 64 in the paper.
        dtype: "float32"; "float64" for checks; "mixed_bfloat16": float32 but for the products of the convolutions.
    """

    stride = 2
    output_initializer = functools.partial(keras.initializers.RandomNormal, stddev=1.0)

    def __init__(self, image_shape, ways, filters=64, dtype="float32"):
        super().__init__(image_shape, ways, filters, dtype)

    def pool(self, x):
        return x

    def flat(self, x):
        return tf.reduce_mean(x, axis=(-3, -2))


class MiniImagenetConv(_FourBlocks):
    """Four blocks of 3x3 convolution -> batch norm -> ReLU -> 2x2 max-pool, flattened into a dense layer.

    84 -> 42 -> 21 -> 10 -> 5 pixels a side: 800 features with 32 filters. Glorot-uniform kernels throughout.

    Args:
        image_shape: (height, width, channels).
        ways: N, the number of logits.
        filters: 32 in the paper.
        dtype: "float32"; "float64" for checks; "mixed_bfloat16": float32 but for the products of the convolutions.
    """

    def __init__(self, image_shape, ways, filters=32, dtype="float32"):
        super().__init__(image_shape, ways, filters, dtype)

    def pool(self, x):
        return _max_pool(x)

    def flat(self, x):
        return tf.reshape(x, [*x.shape[:-3], x.shape[-3] * x.shape[-2] * x.shape[-1]])


def _max_pool(x):
    """2x2 max-pool, stride 2, VALID, of [n, height, width, channels] or [T, n, height, width, channels].

    With a task axis it is written as choices between neighbours: under XLA the second derivative of TensorFlow's own
    max-pool compares the inputs rounded to bfloat16, and puts the meta-gradient off by about 2 % (measured). Of equal
    inputs the first takes the gradient, in both forms.
    """
    return _max_pool_by_kernel(x) if x.shape.rank == 4 else _at_maxima(x, x)


@tf.custom_gradient
def _max_pool_by_kernel(x):
    """TensorFlow's kernels for the pool and its gradient, and ours for the second derivative, where theirs takes 4 ms
    and ours 0.4 (5 x 84 x 84 images of 32 channels)."""
    window = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
    y = tf.raw_ops.MaxPool(input=x, **window)

    @tf.custom_gradient
    def gradient(upstream):
        by_x = tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=y, grad=upstream, **window)
        return by_x, lambda along: _at_maxima_under_xla(x, along)

    return y, gradient


def _at_maxima(x, values):
    """`values` where `x` has the maximum of its 2x2 window, [..., height // 2, width // 2, channels]; both alike in
    shape. One reading of memory under XLA."""
    *leading, height, width, channels = x.shape
    leading = [-1 if size is None else size for size in leading]
    windows = [*leading, height // 2, 2, width // 2, 2, channels]
    x, values = (tf.reshape(a[..., : height // 2 * 2, : width // 2 * 2, :], windows) for a in (x, values))
    for axis in (-2, -3):  # left or right, then upper or lower
        (first, second), (first_value, second_value) = (tf.unstack(a, axis=axis) for a in (x, values))
        x = tf.where(first >= second, first, second)
        values = tf.where(first >= second, first_value, second_value)
    return values


_at_maxima_under_xla = tf.function(_at_maxima, jit_compile=True, autograph=False)
