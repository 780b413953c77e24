"""Fully connected networks: the sinusoid regressor and the non-convolutional Omniglot classifier."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.models.batch_norm import BatchNorm
from maml_tf.models.layers import Dense
from maml_tf.ops.low_rank_updates import Updates
from maml_tf.ops.shapes import sizes

# Standard deviation of the truncated normal distribution of initial kernels, in every dense network of the authors.
KERNEL_STDDEV = 0.01


@keras.saving.register_keras_serializable(package="maml_tf")
class MLP(keras.Model):
    """Hidden layers of dense -> (batch norm) -> ReLU, then a linear output layer.

    Sinusoid (paper section 5.1): hidden (40, 40), no normalisation. Omniglot without convolutions (section 5.2,
    PROTOCOL 2.4): hidden (256, 128, 64, 64) with batch norm. Both start from kernels of a truncated normal distribution
    with standard deviation 0.01 and from zero biases (the authors' code).

    Args:
        inputs: number of input features; images [n, height, width, channels] are flattened to it.
        hidden: units of each hidden layer.
        outputs: number of output units (N logits, or one value).
        batch_norm: whether every hidden layer has batch norm.
        dtype: "float32"; "float64" for checks; "mixed_bfloat16": float32 but for the products of the hidden layers.
        name: of the model.
        norm_scale: whether batch norm also has a scale.
    """

    takes_task_axis = True

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        batch_norm: bool = False,
        dtype: str = "float32",
        name: str | None = None,
        norm_scale: bool = False,
    ):
        variable_dtype = keras.dtype_policies.get(dtype).variable_dtype
        super().__init__(name=name, dtype=variable_dtype)

        def kernel_initializer():
            return keras.initializers.TruncatedNormal(stddev=KERNEL_STDDEV)

        self.config = {"inputs": inputs, "hidden": list(hidden), "outputs": outputs, "batch_norm": batch_norm}
        self.config |= {"dtype": keras.dtype_policies.get(dtype).name, "norm_scale": norm_scale}
        self.num_inputs = inputs
        self.dense = [
            Dense(units, kernel_initializer(), name=f"dense_{layer}", dtype=dtype)
            for layer, units in enumerate(hidden, 1)
        ]
        self.norms = [tf.identity for _ in hidden]
        if batch_norm:
            self.norms = [
                BatchNorm(scale=norm_scale, name=f"norm_{layer}", dtype=variable_dtype)
                for layer in range(1, len(hidden) + 1)
            ]
        self.output_layer = Dense(outputs, kernel_initializer(), name="output", dtype=variable_dtype)
        self(keras.ops.zeros((1, inputs), dtype=variable_dtype))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """x [..., inputs] or images [..., height, width, channels] -> [..., outputs]."""
        x = self._flat(x)
        for dense, norm in zip(self.dense, self.norms, strict=True):
            x = tf.nn.relu(norm(dense(x)))
        return self.output_layer(x)

    def call_with_updates(
        self, x: tf.Tensor, updates: Sequence[Updates] | None = None
    ) -> tuple[tf.Tensor, list[tuple[tf.Tensor, tf.Tensor]]]:
        """The output for T tasks whose inner steps are given as low-rank updates (`maml_tf/ops/low_rank_updates.py`).

        Args:
            x: inputs [T, n, ...].
            updates: for each dense layer the factors of every inner step taken; by default no step was taken.

        Returns:
            (output [T, n, outputs], [(input [T, n, in], product [T, n, units]) of each dense layer]): the factors of
            the next step are the inputs and the derivatives of the loss by the products.
        """
        x, layers = self._flat(x), []
        updates = updates or [[] for _ in range(len(self.dense) + 1)]
        for dense, norm, of_layer in zip(self.dense, self.norms, updates[:-1], strict=True):
            layers.append((x, dense(x, updates=of_layer)))
            x = tf.nn.relu(norm(layers[-1][1]))
        layers.append((x, self.output_layer(x, updates=updates[-1])))
        return layers[-1][1], layers

    def get_config(self) -> dict[str, Any]:
        return {**self.config, "name": self.name}

    def _flat(self, x):
        """Images become vectors, [..., inputs]; vectors stay as they are."""
        if x.shape[-1] == self.num_inputs:
            return x
        return tf.reshape(x, [*sizes(x)[:-3], self.num_inputs])
