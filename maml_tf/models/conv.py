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
        super().__init__(dtype=dtype)
        self.convolutions = [Conv2D(filters, stride=self.stride, name=f"conv_{i}", dtype=dtype) for i in BLOCKS]
        self.norms = [BatchNorm(name=f"norm_{i}", dtype=dtype) for i in BLOCKS]
        self.output_layer = Dense(ways, self.output_initializer(), name="output", dtype=dtype)
        self(keras.ops.zeros((1, *image_shape), dtype=dtype))

    def features(self, x):
        """What the output layer sees, [..., features], of images [..., height, width, channels]."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = self.pool(tf.nn.relu(norm(convolution(x))))
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
        dtype: "float32", or "float64" for checks.
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
        dtype: "float32", or "float64" for checks.
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
    if x.shape.rank == 4:
        return tf.nn.max_pool2d(x, 2, 2, "VALID")
    *leading, height, width, channels = x.shape
    x = x[..., : height // 2 * 2, : width // 2 * 2, :]
    windows = tf.reshape(x, [*leading, height // 2, 2, width // 2, 2, channels])
    left, right = tf.unstack(windows, axis=-2)
    rows = tf.where(left >= right, left, right)
    upper, lower = tf.unstack(rows, axis=-3)
    return tf.where(upper >= lower, upper, lower)
