"""A network with a context vector: free parameters z at its input (Appendix C.2; PROTOCOL 2.7)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="maml_tf")
class WithContext(keras.Model):
    """Appends z, the same for every example, to the inputs of a network.

    Images get z as further channels at full size, flat inputs as further features. z starts from Glorot's uniform
    distribution (the authors' code) and is meta-learned with the network. When the inner loop adapts z alone
    (`maml_tf.meta.adaptable.only_context`), adaptation changes the network's input and nothing else.

    Args:
        network: a built Keras model for inputs with `context` more channels or features.
        input_shape: of one input without z: (height, width, channels) or (features,); images are flattened to the
            latter.
        context: channels or features of z.
        dtype: as the network's.

    Attributes:
        wrapped: the network, whose weights keep their names in weight files.
    """

    def __init__(
        self,
        network: keras.Model,
        input_shape: Sequence[int],
        context: int,
        dtype: str = "float32",
        name: str = "with_context",  # a part of the name that weights are saved under
    ):
        super().__init__(name=name, dtype=dtype)
        self.takes_task_axis = getattr(network, "takes_task_axis", False)
        self.network = network
        self.example_shape = tuple(input_shape)
        self.context_size = context
        self.context = self.add_weight(
            shape=(*self.example_shape[:-1], context), initializer=_glorot_uniform, name="context", dtype=dtype
        )
        self(keras.ops.zeros((1, *self.example_shape), dtype=dtype))

    @property
    def wrapped(self) -> keras.Model:
        """The network."""
        return self.network

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The network's output on x [..., *input_shape] with z appended."""
        if len(self.example_shape) == 1 and x.shape[-1] != self.example_shape[0]:
            x = tf.reshape(x, [*x.shape[:-3], *self.example_shape])
        z = tf.expand_dims(tf.convert_to_tensor(self.context), -len(self.example_shape) - 1)
        z = tf.broadcast_to(z, [*x.shape[:-1], z.shape[-1]])
        return self.network(tf.concat([x, z], axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            "input_shape": list(self.example_shape),
            "context": self.context_size,
            "dtype": self.variable_dtype,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> "WithContext":
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        return cls(**{**config, "network": network})


def _glorot_uniform(shape, dtype=None):
    """Glorot's uniform distribution; a vector is treated as a matrix with one row."""
    initial = keras.initializers.GlorotUniform()(shape if len(shape) > 1 else (1, *shape), dtype)
    return keras.ops.reshape(initial, shape)
