"""The differentiable Gaussian policy (PROTOCOL 3.1). `maml_tf.rl.sampling.numpy_policy` is its twin for sampling."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from maml_tf.errors import UsageError
from maml_tf.meta.functional import functional_call
from maml_tf.models.layers import Dense
from maml_tf.rl.sampling.numpy_policy import ACTIVATIONS, MIN_LOG_STD, Actor


class GaussianPolicy(keras.Model):
    """pi(a|s): normal, its mean a network of the observation, its deviation learned.

    The log standard deviation does not depend on the state and begins at 0. The inner loop adapts it like every other
    parameter. Actions are in normalised units and unbounded: environments clip them, the likelihood does not.

    Parameters are lists: the log standard deviation [A], the context vector where there is one, then kernel and bias of
    every layer. They may carry a leading task axis T, and then so do observations.

    Args:
        observation_size: O.
        action_size: A.
        hidden: units of the hidden layers.
        activation: of the hidden layers, "relu" or "tanh".
        context_size: numbers of a context vector z that is appended to every observation, at first zeros, and that is
            all the inner loop adapts (Appendix C.2, PROTOCOL 2.7). 0: none, and everything is adapted.
        dtype: "float32", or "float64" for checks.

    Raises:
        UsageError: another activation.
    """

    def __init__(
        self, observation_size, action_size, hidden=(100, 100), activation="relu", context_size=0, dtype="float32"
    ):
        if activation not in ACTIVATIONS:
            raise UsageError(f"activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
        super().__init__(name="policy", dtype=dtype)
        self.observation_size = observation_size
        self.activation = activation
        self.log_std = self.add_weight(shape=(action_size,), initializer="zeros", name="log_std", dtype=dtype)
        self.context = None
        if context_size:
            self.context = self.add_weight(shape=(context_size,), initializer="zeros", name="context", dtype=dtype)
        self.mean_layers = [
            Dense(units, name=f"dense_{index}", dtype=dtype) for index, units in enumerate((*hidden, action_size), 1)
        ]
        self(keras.ops.zeros((1, observation_size), dtype=dtype))

    def call(self, observations):
        """Mean [n, A] and log standard deviation [1, A] for observations [n, O]; each with T in front, or none."""
        activation = getattr(tf.nn, self.activation)
        x = observations
        if self.context is not None:
            context = tf.convert_to_tensor(self.context)[..., tf.newaxis, :]
            x = tf.concat([x, tf.repeat(context, tf.shape(x)[-2], axis=-2)], axis=-1)
        for layer in self.mean_layers[:-1]:
            x = activation(layer(x))
        log_std = tf.convert_to_tensor(self.log_std)[..., tf.newaxis, :]
        return self.mean_layers[-1](x), tf.maximum(log_std, MIN_LOG_STD)

    def parameters(self):
        """The policy's own parameters theta."""
        return [tf.convert_to_tensor(variable) for variable in self.trainable_variables]

    @property
    def adaptable(self):
        """A bool for each parameter: whether the inner loop moves it."""
        return [self.context is None or variable is self.context for variable in self.trainable_variables]

    def moments(self, params, observations):
        """What `call` returns, under `params` in place of the policy's own."""
        return functional_call(self, params, observations)

    def actor(self, params):
        """The Actor of `params`, which must have a task axis."""
        if self.context is not None:  # a constant part of the input is a part of the first layer's bias
            log_std, context, kernel, bias, *rest = params
            observed, constant = kernel[:, : self.observation_size], kernel[:, self.observation_size :]
            params = [log_std, observed, bias + tf.einsum("tc,tcu->tu", context, constant), *rest]
        return Actor(params, self.activation)


def distribution(mean, log_std):
    """The distribution over actions that `GaussianPolicy.moments` describe: mean [..., n, A], log_std [..., 1, A]."""
    normal = tfp.distributions.Normal(mean, tf.exp(log_std))
    return tfp.distributions.Independent(normal, reinterpreted_batch_ndims=1)
