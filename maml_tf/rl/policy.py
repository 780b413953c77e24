"""The differentiable Gaussian policy (PROTOCOL 3.1). `maml_tf.rl.sampling.numpy_policy` has its twin for sampling."""

from collections.abc import Sequence

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from maml_tf.errors import UsageError
from maml_tf.meta.functional import functional_call
from maml_tf.models.layers import Dense
from maml_tf.rl.sampling.numpy_policy import ACTIVATIONS, MIN_LOG_STD, GaussianActor


class GaussianPolicy(keras.Model):
    """pi(a|s): a normal distribution whose mean is a network of the observation.

    The log standard deviation is one learned vector for all states, at first 0. The inner loop adapts it like every
    other parameter. Actions are in normalised units and unbounded: environments clip them, the likelihood does not.

    Parameters are lists: the log standard deviation [A], the context vector if there is one, then kernel and bias of
    every layer. They may carry a leading task axis T; then observations carry it too.

    Args:
        observation_size: O.
        action_size: A.
        hidden: units of the hidden layers.
        activation: of the hidden layers, "relu" or "tanh".
        context_size: length of a context vector z that is appended to every observation. It starts at zero, and the
            inner loop adapts nothing else (Appendix C.2, PROTOCOL 2.7). 0: no context vector; everything is adapted.
        dtype: "float32", or "float64" for checks.

    Raises:
        UsageError: the activation is not known.
    """

    num_distribution_params = 2

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden: Sequence[int] = (100, 100),
        activation: str = "relu",
        context_size: int = 0,
        dtype: str = "float32",
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
        """Mean and log standard deviation of the actions.

        Args:
            observations: [n, O], or [T, n, O] for parameters with a task axis.

        Returns:
            (mean [n, A], log_std [1, A]), or ([T, n, A], [T, 1, A]).
        """
        activation = getattr(tf.nn, self.activation)
        x = observations
        if self.context is not None:
            context = tf.convert_to_tensor(self.context)[..., tf.newaxis, :]
            x = tf.concat([x, tf.repeat(context, tf.shape(x)[-2], axis=-2)], axis=-1)
        for layer in self.mean_layers[:-1]:
            x = activation(layer(x))
        log_std = tf.convert_to_tensor(self.log_std)[..., tf.newaxis, :]
        return self.mean_layers[-1](x), tf.maximum(log_std, MIN_LOG_STD)

    def initial_params(self) -> list[tf.Tensor]:
        """The policy's own parameters: theta before training."""
        return [tf.convert_to_tensor(variable) for variable in self.trainable_variables]

    @property
    def adaptable(self) -> list[bool]:
        """For each parameter, whether the inner loop adapts it."""
        return [self.context is None or variable is self.context for variable in self.trainable_variables]

    def distribution_params(self, params: Sequence[tf.Tensor], observations: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What `call` returns, under `params` in place of the policy's own."""
        return functional_call(self, params, observations)

    @staticmethod
    def distribution(distribution_params: tuple[tf.Tensor, tf.Tensor]) -> tfp.distributions.Distribution:
        """The distribution over actions [..., n, A] for mean [..., n, A] and log standard deviation [..., 1, A]."""
        mean, log_std = distribution_params
        normal = tfp.distributions.Normal(mean, tf.exp(log_std))
        return tfp.distributions.Independent(normal, reinterpreted_batch_ndims=1)

    def actor(self, params: Sequence[tf.Tensor]) -> GaussianActor:
        """Draws actions in NumPy under `params`, which must have a task axis."""
        if self.context is not None:  # a constant part of the input acts as a part of the first layer's bias
            log_std, context, kernel, bias, *rest = params
            observed, constant = kernel[:, : self.observation_size], kernel[:, self.observation_size :]
            params = [log_std, observed, bias + tf.einsum("tc,tcu->tu", context, constant), *rest]
        return GaussianActor(params, self.activation)
