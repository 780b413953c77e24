"""The policy for discrete actions."""

import tensorflow_probability as tfp

from maml_tf.rl.policy import Policy
from maml_tf.rl.sampling.numpy_policy import CategoricalActor


class CategoricalPolicy(Policy):
    """A choice among A actions whose log-probabilities, up to a constant, are a network of the observation.

    An action is a one-hot vector [A]. Parameters are lists: the context vector if there is one, then kernel and bias of
    every layer. The paper has no discrete actions; everything else is as for the Gaussian policy.

    Args:
        observation_size, hidden, activation, context_size, dtype: see Policy.
        action_size: A, the number of actions.
    """

    discrete_actions = True
    num_distribution_params = 1

    def call(self, observations):
        """(logits [n, A],) for observations [n, O]; with T in front of both, or of none."""
        return (self.network(observations),)

    @staticmethod
    def distribution(distribution_params):
        """The distribution over one-hot actions [..., n, A] for (logits [..., n, A],)."""
        (logits,) = distribution_params
        return tfp.distributions.OneHotCategorical(logits=logits, dtype=logits.dtype)

    def _make_actor(self, params):
        return CategoricalActor(params, self.activation)
