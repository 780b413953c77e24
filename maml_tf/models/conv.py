"""The paper's convolutional classifiers (section 5.2; PROTOCOL 2.3 and 2.6)."""

import functools

import keras
import tensorflow as tf

from maml_tf.models.batch_norm import BatchNorm
from maml_tf.models.layers import Conv2D, Dense
from maml_tf.ops.batch_norm_max_pool import BatchNormMaxPool

BLOCKS = (1, 2, 3, 4)


class _FourBlocks(keras.Model):
    """Four blocks of 3x3 convolution -> `norm` -> ReLU, then `flat` features into a dense layer.

    A max-pool is part of the norm: it and ReLU may change places, and behind it fewer numbers pass.
    """

    takes_task_axis = True
    stride = 1
    norm = BatchNorm
    output_initializer = keras.initializers.GlorotUniform

    def __init__(self, image_shape, ways, filters, dtype):
        kept = keras.dtype_policies.get(dtype).variable_dtype  # what is mixed are the products of the convolutions
        super().__init__(dtype=kept)
        self.convolutions = [Conv2D(filters, stride=self.stride, name=f"conv_{i}", dtype=dtype) for i in BLOCKS]
        self.norms = [self.norm(name=f"norm_{i}", dtype=kept) for i in BLOCKS]
        self.output_layer = Dense(ways, self.output_initializer(), name="output", dtype=kept)
        self(keras.ops.zeros((1, *image_shape), dtype=kept))

    def features(self, x):
        """What the output layer sees, [..., features], of images [..., height, width, channels]."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = tf.nn.relu(norm(convolution(x, add_bias=False), tf.convert_to_tensor(convolution.bias)))
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

    norm = BatchNormMaxPool

    def __init__(self, image_shape, ways, filters=32, dtype="float32"):
        super().__init__(image_shape, ways, filters, dtype)

    def flat(self, x):
        return tf.reshape(x, [*x.shape[:-3], x.shape[-3] * x.shape[-2] * x.shape[-1]])
