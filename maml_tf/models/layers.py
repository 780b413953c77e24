"""Dense and convolutional layers whose weights may carry a leading task axis.

With plain weights they do what Keras' layers do. With weights of shape [T, ...] and inputs of shape [T, n, ...] they
run T adapted copies at once, as batched matrix products, which XLA compiles well.
"""

from typing import Any

import keras
import tensorflow as tf

from maml_tf.ops.convolution import convolution, task_convolution
from maml_tf.ops.low_rank_updates import Updates, dense_with_updates
from maml_tf.ops.outer_product_matmul import outer_product_matmul, prefers_outer_products


@keras.saving.register_keras_serializable(package="maml_tf")
class Dense(keras.layers.Layer):
    """y = x W + b.

    Args:
        units: number of outputs.
        kernel_initializer: a Keras initializer or its name.
        **kwargs: name, dtype and the like of a Keras layer.
    """

    def __init__(self, units: int, kernel_initializer: str | keras.Initializer = "glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x: tf.Tensor, updates: Updates | None = None) -> tf.Tensor:
        """x [n, in] -> [n, units]; or x [T, n, in] -> [T, n, units] for weights W [T, in, units] and b [T, units].

        With `updates`, W and b are shared by the T tasks and the inner steps are given as low-rank updates (see
        `dense_with_updates`).
        """
        kernel, bias = tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias)
        x = tf.cast(x, kernel.dtype)  # integers, which Keras does not cast by itself
        if updates is not None:
            return dense_with_updates(x, kernel, bias, updates)
        matmul = outer_product_matmul if prefers_outer_products(x, kernel) else tf.matmul
        return matmul(x, kernel) + bias[..., tf.newaxis, :]

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return super().get_config() | {"units": self.units, "kernel_initializer": initializer}


@keras.saving.register_keras_serializable(package="maml_tf")
class Conv2D(keras.layers.Layer):
    """Convolution with TensorFlow's SAME padding and a bias.

    SAME with stride 2 pads an even side at the bottom and right only: (0, 1), not (1, 1) (PROTOCOL 2.3).

    Args:
        filters: number of output channels.
        size: of the square kernel.
        stride: in both directions.
        kernel_initializer: a Keras initializer or its name.
        **kwargs: name, dtype and the like of a Keras layer.
    """

    def __init__(
        self,
        filters: int,
        size: int = 3,
        stride: int = 1,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        **kwargs,
    ):
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

    def call(self, x: tf.Tensor, add_bias: bool = True) -> tf.Tensor:
        """x [n, height, width, in] -> [n, height / stride, width / stride, filters], sides rounded up.

        With a kernel [T, size, size, in, filters] and a bias [T, filters] input and output have a task axis in front.

        Args:
            x: images.
            add_bias: False leaves the bias to the next layer (see `BatchNorm`).
        """
        kernel = tf.convert_to_tensor(self.kernel)
        convolve = convolution if kernel.shape.rank == 4 else task_convolution
        y = convolve(tf.cast(x, kernel.dtype), kernel, self.stride)
        if not add_bias:
            return y
        return y + tf.convert_to_tensor(self.bias)[..., tf.newaxis, tf.newaxis, tf.newaxis, :]

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        sizes = {"filters": self.filters, "size": self.size, "stride": self.stride}
        return super().get_config() | sizes | {"kernel_initializer": initializer}
