"""A network with a context vector: free parameters z at its input (Appendix C.2; PROTOCOL 2.7)."""

import keras
import tensorflow as tf


class WithContext(keras.Model):
    """Appends z, the same for every example, to the inputs of a network.

    Images get z as further channels at full size, flat inputs as further features. z starts from Glorot's uniform
    distribution (the authors' code) and is meta-learned with the network. When the inner loop moves z alone
    (`only_context`), adaptation changes the network's input and nothing else.

    Args:
        network: a built Keras model for inputs with `context` more channels or features.
        input_shape: of one input without z: (height, width, channels) or (features,); images are flattened to the
            latter.
        context: channels or features of z.
        dtype: as the network's.
    """

    def __init__(self, network, input_shape, context, dtype="float32"):
        super().__init__(name="with_context", dtype=dtype)  # a part of the name that weights are saved under
        self.takes_task_axis = getattr(network, "takes_task_axis", False)
        self.network = network
        self.one_input = tuple(input_shape)
        self.context = self.add_weight(
            shape=(*self.one_input[:-1], context), initializer=_glorot_uniform, name="context", dtype=dtype
        )
        self(keras.ops.zeros((1, *self.one_input), dtype=dtype))

    def call(self, x):
        if len(self.one_input) == 1 and x.shape[-1] != self.one_input[0]:
            x = tf.reshape(x, [*x.shape[:-3], *self.one_input])
        z = tf.expand_dims(tf.convert_to_tensor(self.context), -len(self.one_input) - 1)
        z = tf.broadcast_to(z, [*x.shape[:-1], z.shape[-1]])
        return self.network(tf.concat([x, z], axis=-1))


def _glorot_uniform(shape, dtype=None):
    """Glorot's uniform distribution; a plain vector is taken as one row of a matrix."""
    initial = keras.initializers.GlorotUniform()(shape if len(shape) > 1 else (1, *shape), dtype)
    return keras.ops.reshape(initial, shape)


def only_context(variable):
    """For MAML's `adaptable`: the inner loop moves z alone."""
    return variable.name == "context"
