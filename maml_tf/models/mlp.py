"""Fully connected networks: the sinusoid regressor and the non-convolutional Omniglot classifier."""

import keras
import tensorflow as tf

from maml_tf.models.batch_norm import BatchNorm
from maml_tf.models.layers import Dense

# Standard deviation of the kernels' truncated normal initialisation, in every fully connected network of the authors.
KERNEL_STDDEV = 0.01


class MLP(keras.Model):
    """Hidden layers of dense -> (batch norm) -> ReLU, then a linear output layer.

    Sinusoid (paper section 5.1): 40, 40, no normalisation. Omniglot without convolutions (section 5.2, PROTOCOL 2.4):
    256, 128, 64, 64 with batch norm. Both start from kernels of a truncated normal distribution with standard
    deviation 0.01 and zero biases (the authors' code).

    Args:
        inputs: number of input features; images [n, height, width, channels] are flattened to it.
        hidden: units of each hidden layer.
        outputs: output units (N logits, or one value).
        batch_norm: whether every hidden layer is normalised over its batch.
        dtype: "float32"; "float64" for checks; "mixed_bfloat16": float32 but for the products of the hidden layers.
    """

    takes_task_axis = True

    def __init__(self, inputs, hidden, outputs, batch_norm=False, dtype="float32"):
        kept = keras.dtype_policies.get(dtype).variable_dtype  # what is mixed are the products of the hidden layers
        super().__init__(dtype=kept)

        def kernel_initializer():
            return keras.initializers.TruncatedNormal(stddev=KERNEL_STDDEV)

        self.inputs_per_example = inputs
        self.dense = [
            Dense(units, kernel_initializer(), name=f"dense_{layer}", dtype=dtype)
            for layer, units in enumerate(hidden, 1)
        ]
        self.norms = [tf.identity for _ in hidden]
        if batch_norm:
            self.norms = [BatchNorm(name=f"norm_{layer}", dtype=kept) for layer in range(1, len(hidden) + 1)]
        self.output_layer = Dense(outputs, kernel_initializer(), name="output", dtype=kept)
        self(keras.ops.zeros((1, inputs), dtype=kept))

    def call(self, x):
        x = self._flat(x)
        for dense, norm in zip(self.dense, self.norms, strict=True):
            x = tf.nn.relu(norm(dense(x)))
        return self.output_layer(x)

    def call_with_updates(self, x, updates=None):
        """The output for T tasks whose gradient steps are given as factors, and what the next step's factors are of.

        Args:
            x: inputs [T, n, ...].
            updates: for each dense layer the factors of every step taken (see `Dense`); by default none was taken.

        Returns:
            (output [T, n, outputs], [(input [T, n, in], product [T, n, units]) of each dense layer])
        """
        x, passed = self._flat(x), []
        updates = updates or [[] for _ in range(len(self.dense) + 1)]
        for dense, norm, of_layer in zip(self.dense, self.norms, updates[:-1], strict=True):
            passed.append((x, dense(x, updates=of_layer)))
            x = tf.nn.relu(norm(passed[-1][1]))
        passed.append((x, self.output_layer(x, updates=updates[-1])))
        return passed[-1][1], passed

    def _flat(self, x):
        """Images become vectors, [..., inputs]; vectors stay as they are."""
        if x.shape[-1] == self.inputs_per_example:
            return x
        return tf.reshape(x, [*x.shape[:-3], self.inputs_per_example])
