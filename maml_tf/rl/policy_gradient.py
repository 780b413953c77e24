"""The inner step of reinforcement learning: vanilla policy gradient on one task's batch (PROTOCOL 3.3)."""

from typing import NamedTuple

import tensorflow as tf

from maml_tf.meta.inner_loop import adapt
from maml_tf.rl.advantages import advantages
from maml_tf.rl.policy import distribution


class PolicyBatch(NamedTuple):
    """What a policy gradient needs of T tasks' samples.

    Attributes:
        observations: [T, B, O]
        actions: [T, B, A], as the policy drew them.
        advantages: [T, B]
        weights: [T, B], 1 over the number of the task's time steps; 0 where there is nothing.
        pooled_weights: [T, B], 1 over the number of all tasks' time steps; 0 where there is nothing.
    """

    observations: tf.Tensor
    actions: tf.Tensor
    advantages: tf.Tensor
    weights: tf.Tensor
    pooled_weights: tf.Tensor


def policy_batch(trajectories, dtype="float32"):
    """The PolicyBatch of Trajectories, with advantages from a baseline fitted to them.

    Raises:
        FloatingPointError: an observation or a reward is not finite; the message names the task.
    """
    mask = trajectories.mask
    weights = mask / mask.sum(axis=1, keepdims=True)
    arrays = (trajectories.observations, trajectories.actions, advantages(trajectories), weights, mask / mask.sum())
    return PolicyBatch(*(tf.constant(array, dtype) for array in arrays))


def policy_gradient_loss(policy, params, batch, old=None):
    """- mean over time steps of log pi(a|s) x advantage, of every task: [T].

    With `old`, the ratio pi(a|s) / pi_old(a|s) takes the place of log pi(a|s). The two have the same gradient where pi
    is the policy that sampled, and another second derivative: the ratio's is that of the expected return, which also
    changes because other actions are drawn; the log-likelihood's leaves that out (PROTOCOL 5, row 32).

    Args:
        policy: a GaussianPolicy.
        params: with the task axis T.
        batch: PolicyBatch.
        old: the moments of the policies that sampled the batch.
    """
    score = distribution(*policy.moments(params, batch.observations)).log_prob(batch.actions)
    if old is not None:
        score = tf.exp(score - distribution(*old).log_prob(batch.actions))
    return -tf.reduce_sum(batch.weights * batch.advantages * score, axis=1)


def inner_step(policy, params, batch, step_size, old=None):
    """One step of gradient descent on `policy_gradient_loss`, every task from its own parameters on its own batch.

    Args:
        policy: a GaussianPolicy; the parameters that it calls adaptable move.
        params: with the task axis T.
        batch: PolicyBatch.
        step_size: alpha.
        old: see `policy_gradient_loss`.

    Returns:
        The adapted parameters, with the task axis T; differentiable.
    """

    def loss(params, batch):
        return policy_gradient_loss(policy, params, batch, old)

    return adapt(loss, params, batch, step_size, num_steps=1, adaptable=policy.adaptable)[0]
