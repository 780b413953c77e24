"""The paper's convolutional classifiers (section 5.2; PROTOCOL 2.3 and 2.6)."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.models.batch_norm import BatchNorm, BatchNormMaxPool
from maml_tf.models.layers import Conv2D, Dense
from maml_tf.ops.shapes import sizes

BLOCKS = (1, 2, 3, 4)


class _FourBlocks(keras.Model):
    """Four blocks of 3x3 convolution -> `norm` -> ReLU, then flat features and a dense layer.

    A max-pool is part of the norm. ReLU and max-pool commute, and ReLU is cheaper after the pool.
    """

    takes_task_axis = True
    stride = 1
    norm = BatchNorm
    output_initializer = keras.initializers.GlorotUniform

    def __init__(
        self,
        image_shape: Sequence[int],
        ways: int,
        filters: int,
        dtype: str,
        name: str | None,
        norm_scale: bool,
        kernel_stddev: float | None,
        **norm_options: bool,
    ):
        variable_dtype = keras.dtype_policies.get(dtype).variable_dtype
        super().__init__(name=name, dtype=variable_dtype)
        self.config = {"image_shape": list(image_shape), "ways": ways, "filters": filters, **norm_options}
        self.config |= {"norm_scale": norm_scale, "kernel_stddev": kernel_stddev}
        self.config["dtype"] = keras.dtype_policies.get(dtype).name
        kernels, output = keras.initializers.GlorotUniform, self.output_initializer
        if kernel_stddev is not None:
            kernels = output = functools.partial(keras.initializers.TruncatedNormal, stddev=kernel_stddev)
        self.convolutions = [
            Conv2D(filters, stride=self.stride, kernel_initializer=kernels(), name=f"conv_{i}", dtype=dtype)
            for i in BLOCKS
        ]
        norm_options |= {"scale": norm_scale}
        self.norms = [self.norm(name=f"norm_{i}", dtype=variable_dtype, **norm_options) for i in BLOCKS]
        self.output_layer = Dense(ways, output(), name="output", dtype=variable_dtype)
        self(keras.ops.zeros((1, *image_shape), dtype=variable_dtype))

    def flat(self, x: tf.Tensor) -> tf.Tensor:
        """The features [..., features] of the last block's maps [..., height, width, filters]."""
        raise NotImplementedError

    def features(self, x: tf.Tensor) -> tf.Tensor:
        """The input of the output layer, [..., features], for images [..., height, width, channels]."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = tf.nn.relu(norm(convolution(x, add_bias=False), tf.convert_to_tensor(convolution.bias)))
        return self.flat(x)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Images [..., height, width, channels] -> logits [..., ways]."""
        return self.output_layer(self.features(x))

    def get_config(self) -> dict[str, Any]:
        return {**self.config, "name": self.name}


@keras.saving.register_keras_serializable(package="maml_tf")
class OmniglotConv(_FourBlocks):
    """Four blocks of 3x3 convolution with stride 2 -> batch norm -> ReLU, the mean over space, a dense layer.

    28 -> 14 -> 7 -> 4 -> 2 pixels a side; the mean over the last 2x2 leaves `filters` features. The dense kernel starts
    from a normal distribution with standard deviation 1.0, in this network only (the authors' code).

    Args:
        image_shape: (height, width, channels).
        ways: N, the number of logits.
        filters: 64 in the paper.
        dtype: "float32"; "float64" for checks; "mixed_bfloat16": float32 but for the products of the convolutions.
        name: of the model.
        norm_scale: whether batch norm also has a scale.
        kernel_stddev: of a truncated normal distribution of all initial kernels, in place of the authors' ones.
    """

    stride = 2
    output_initializer = functools.partial(keras.initializers.RandomNormal, stddev=1.0)

    def __init__(
        self,
        image_shape: Sequence[int],
        ways: int,
        filters: int = 64,
        dtype: str = "float32",
        name: str | None = None,
        norm_scale: bool = False,
        kernel_stddev: float | None = None,
    ):
        super().__init__(image_shape, ways, filters, dtype, name, norm_scale, kernel_stddev)

    def flat(self, x):
        return tf.reduce_mean(x, axis=(-3, -2))


@keras.saving.register_keras_serializable(package="maml_tf")
class MiniImagenetConv(_FourBlocks):
    """Four blocks of 3x3 convolution -> batch norm -> ReLU -> 2x2 max-pool, flattened into a dense layer.

    84 -> 42 -> 21 -> 10 -> 5 pixels a side: 800 features with 32 filters. All kernels are initially Glorot-uniform.

    Args:
        image_shape: (height, width, channels).
        ways: N, the number of logits.
        filters: 32 in the paper.
        dtype: "float32"; "float64" for checks; "mixed_bfloat16": float32 but for the products of the convolutions.
        name: of the model.
        norm_scale: whether batch norm also has a scale.
        kernel_stddev: of a truncated normal distribution of all initial kernels, in place of the authors' ones.
        cut_second_derivative: the second derivative is cut off at every max-pool, as in the authors' code (PROTOCOL 5,
            row 33). By default it is exact.
    """

    norm = BatchNormMaxPool

    def __init__(
        self,
        image_shape: Sequence[int],
        ways: int,
        filters: int = 32,
        dtype: str = "float32",
        name: str | None = None,
        cut_second_derivative: bool = False,
        norm_scale: bool = False,
        kernel_stddev: float | None = None,
    ):
        options = {"cut_second_derivative": cut_second_derivative}
        super().__init__(image_shape, ways, filters, dtype, name, norm_scale, kernel_stddev, **options)

    def flat(self, x):
        return tf.reshape(x, [*sizes(x)[:-3], x.shape[-3] * x.shape[-2] * x.shape[-1]])
