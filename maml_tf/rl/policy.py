"""The differentiable policies (PROTOCOL 3.1). `maml_tf.rl.sampling.numpy_policy` has their twins for sampling."""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from maml_tf.errors import UsageError
from maml_tf.meta.adaptable import Adaptable, chosen_weights
from maml_tf.meta.functional import functional_call
from maml_tf.models.layers import Dense
from maml_tf.rl.sampling.numpy_policy import ACTIVATIONS, MIN_LOG_STD, Actor, GaussianActor


class Policy(keras.Model, abc.ABC):
    """pi(a|s): a distribution over actions whose parameters are a network of the observation.

    Parameters are lists: those that a subclass adds, the context vector if there is one, then kernel and bias of every
    layer. They may carry a leading task axis T; then observations carry it too.

    Args:
        observation_size: O.
        action_size: A, the length of an action vector and of the network's output.
        hidden: units of the hidden layers.
        activation: of the hidden layers, "relu" or "tanh".
        context_size: length of a context vector z that is appended to every observation. It starts at zero, and the
            inner loop adapts nothing else (Appendix C.2, PROTOCOL 2.7). 0: no context vector; everything is adapted.
        dtype: "float32", or "float64" for checks.
        adaptable: which weights the inner loop adapts, as for `mt.MAML`; `mt.methods.output_layer` for ANIL; or a truth
            value for each weight. None: all of them, or the context vector where there is one.

    Attributes:
        discrete_actions: whether an action is a one-hot vector.
        num_distribution_params: tensors that `call` returns.

    Raises:
        UsageError: the activation is not known, or there are both a context vector and `adaptable`.
    """

    discrete_actions: bool
    num_distribution_params: int

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden: Sequence[int] = (100, 100),
        activation: str = "relu",
        context_size: int = 0,
        dtype: str = "float32",
        adaptable: Adaptable | list[bool] | None = None,
    ):
        if activation not in ACTIVATIONS:
            raise UsageError(f"activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
        if adaptable is not None and context_size:
            raise UsageError("adaptable: not allowed with a context vector, which is all that is adapted then")
        super().__init__(name="policy", dtype=dtype)
        self.observation_size = observation_size
        self.action_size = action_size
        self.activation = activation
        self._add_distribution_weights()
        self.context = None
        if context_size:
            self.context = self.add_weight(shape=(context_size,), initializer="zeros", name="context", dtype=dtype)
        self.dense_layers = [
            Dense(units, name=f"dense_{index}", dtype=dtype) for index, units in enumerate((*hidden, action_size), 1)
        ]
        self(keras.ops.zeros((1, observation_size), dtype=dtype))
        if adaptable is None:
            adapts = [context_size == 0 or variable is self.context for variable in self.trainable_variables]
        else:
            adapts = list(adaptable) if isinstance(adaptable, list) else chosen_weights(self, adaptable)
        self._adapts = tuple(adapts)
        self._config = {
            "observation_size": observation_size,
            "action_size": action_size,
            "hidden": list(hidden),
            "activation": activation,
            "context_size": context_size,
            "dtype": dtype,
            "adaptable": None if adaptable is None else adapts,
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a policy of the same form."""
        return dict(self._config)

    def _add_distribution_weights(self) -> None:
        """Adds the weights that are not the network's; they come first in the list of parameters."""

    @abc.abstractmethod
    def call(self, observations: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The parameters of the distributions over actions.

        Args:
            observations: [n, O], or [T, n, O] for parameters with a task axis.

        Returns:
            A tuple of `num_distribution_params` tensors [n, ...] or [1, ...]; with T in front if observations have it.
        """

    @staticmethod
    @abc.abstractmethod
    def distribution(distribution_params: tuple[tf.Tensor, ...]) -> "tfp.distributions.Distribution":  # pyright: ignore
        """The distribution over actions [..., n, A] that `distribution_params` describe."""

    @abc.abstractmethod
    def _make_actor(self, params: list) -> Actor:
        """The Actor of `params`, which have a task axis and no context vector."""

    def network(self, observations: tf.Tensor) -> tf.Tensor:
        """The network's output [n, A] for observations [n, O]; with T in front of both, or of none."""
        activation = getattr(tf.nn, self.activation)
        x = observations
        if self.context is not None:
            context = tf.convert_to_tensor(self.context)[..., tf.newaxis, :]
            x = tf.concat([x, tf.repeat(context, tf.shape(x)[-2], axis=-2)], axis=-1)
        for layer in self.dense_layers[:-1]:
            x = activation(layer(x))
        return self.dense_layers[-1](x)

    def initial_params(self) -> list[tf.Tensor]:
        """The policy's own parameters: theta before training."""
        return [tf.convert_to_tensor(variable) for variable in self.trainable_variables]

    @property
    def adaptable(self) -> list[bool]:
        """For each parameter, whether the inner loop adapts it."""
        return list(self._adapts)

    def distribution_params(self, params: Sequence[tf.Tensor], observations: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """What `call` returns, under `params` in place of the policy's own."""
        return functional_call(self, params, observations)

    def actor(self, params: Sequence[tf.Tensor]) -> Actor:
        """Draws actions in NumPy under `params`, which must have a task axis."""
        params = list(params)
        if self.context is not None:  # a constant part of the input acts as a part of the first layer's bias
            index = self.adaptable.index(True)
            context, kernel, bias = params.pop(index), params[index], params[index + 1]
            observed, constant = kernel[:, : self.observation_size], kernel[:, self.observation_size :]
            params[index : index + 2] = observed, bias + tf.einsum("tc,tcu->tu", context, constant)
        return self._make_actor(params)


class GaussianPolicy(Policy):
    """A normal distribution whose mean is a network of the observation.

    The log standard deviation is one learned vector for all states, at first 0. The inner loop adapts it like every
    other parameter. Actions are in normalised units and unbounded: environments clip them, the likelihood does not.

    Parameters are lists: the log standard deviation [A], the context vector if there is one, then kernel and bias of
    every layer.

    Args:
        observation_size, action_size, hidden, activation, context_size, dtype, adaptable: see Policy.
    """

    discrete_actions = False
    num_distribution_params = 2

    def _add_distribution_weights(self):
        shape = (self.action_size,)
        self.log_std = self.add_weight(shape=shape, initializer="zeros", name="log_std", dtype=self.dtype)

    def call(self, observations):
        """(mean [n, A], log standard deviation [1, A]) for observations [n, O]; with T in front of all, or of none."""
        log_std = tf.convert_to_tensor(self.log_std)[..., tf.newaxis, :]
        return self.network(observations), tf.maximum(log_std, MIN_LOG_STD)

    @staticmethod
    def distribution(distribution_params):
        """The normal distribution over actions [..., n, A] for (mean, log standard deviation)."""
        mean, log_std = distribution_params
        normal = tfp.distributions.Normal(mean, tf.exp(log_std))
        return tfp.distributions.Independent(normal, reinterpreted_batch_ndims=1)

    def _make_actor(self, params):
        return GaussianActor(params, self.activation)
