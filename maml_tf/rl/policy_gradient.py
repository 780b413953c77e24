"""The inner step of reinforcement learning: vanilla policy gradient on one task's batch (PROTOCOL 3.3)."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from maml_tf.meta.inner_loop import adapt
from maml_tf.rl.advantages import advantages
from maml_tf.rl.policy import Policy
from maml_tf.rl.sampling.trajectories import Trajectories


class PolicyBatch(NamedTuple):
    """The samples of T tasks as a policy gradient needs them, B time steps each.

    Attributes:
        observations: [T, B, O]
        actions: [T, B, A], as the policy drew them.
        advantages: [T, B]
        weights: [T, B], 1 / (number of the task's time steps); 0 where there is no time step.
        pooled_weights: [T, B], 1 / (number of all tasks' time steps); 0 where there is no time step.
    """

    observations: tf.Tensor
    actions: tf.Tensor
    advantages: tf.Tensor
    weights: tf.Tensor
    pooled_weights: tf.Tensor


def policy_batch(trajectories: Trajectories, dtype: str = "float32") -> PolicyBatch:
    """The batch of these trajectories, with advantages from a value baseline fitted to them.

    Raises:
        FloatingPointError: an observation or a reward is not finite; the message names the task.
    """
    mask = trajectories.mask
    weights = mask / mask.sum(axis=1, keepdims=True)
    arrays = (trajectories.observations, trajectories.actions, advantages(trajectories), weights, mask / mask.sum())
    return PolicyBatch(*(tf.constant(array, dtype) for array in arrays))


def policy_gradient_loss(
    policy: Policy, params: Sequence[tf.Tensor], batch: PolicyBatch, old: tuple | None = None
) -> tf.Tensor:
    """- mean over time steps of log pi(a|s) x advantage, for every task: [T].

    With `old`, the likelihood ratio pi(a|s) / pi_old(a|s) replaces log pi(a|s). At the policy that sampled the two have
    the same gradient but not the same second derivative. The ratio's is that of the expected return: it includes that
    other actions are drawn when the policy changes. The log-likelihood's leaves that out (PROTOCOL 5, row 32).

    Args:
        policy: the policy whose log-probabilities these are.
        params: with the task axis T.
        batch: the samples.
        old: the `distribution_params` of the policies that sampled the batch.
    """
    score = policy.distribution(policy.distribution_params(params, batch.observations)).log_prob(batch.actions)
    if old is not None:
        score = tf.exp(score - policy.distribution(old).log_prob(batch.actions))
    return -tf.reduce_sum(batch.weights * batch.advantages * score, axis=1)


def inner_step(
    policy: Policy,
    params: Sequence[tf.Tensor],
    batch: PolicyBatch,
    step_size: float | tf.Tensor,
    old: tuple | None = None,
) -> list[tf.Tensor]:
    """One step of gradient descent on `policy_gradient_loss`, for every task from its own parameters on its own batch.

    Args:
        policy: `policy.adaptable` says which parameters the step changes.
        params: with the task axis T.
        batch: the samples.
        step_size: alpha.
        old: see `policy_gradient_loss`.

    Returns:
        The adapted parameters, with the task axis T; differentiable.
    """

    def loss(params, batch):
        return policy_gradient_loss(policy, params, batch, old)

    return adapt(loss, params, batch, step_size, num_steps=1, adaptable=policy.adaptable)[-1]
