"""Algorithm 3 of the paper: MAML for reinforcement learning, one meta-iteration (PROTOCOL 3.3 to 3.5)."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from maml_tf.rl import trpo
from maml_tf.rl.meta_objective import MetaObjective
from maml_tf.rl.policy_gradient import PolicyBatch, policy_batch
from maml_tf.rl.sampling.trajectories import Trajectories


class Stage(NamedTuple):
    """T tasks' policies at one stage of their adaptation, and what they sampled.

    Attributes:
        params: [T, P]
        trajectories: Trajectories.
        batch: their PolicyBatch.
    """

    params: tf.Tensor
    trajectories: Trajectories
    batch: PolicyBatch

    @property
    def mean_return(self):
        """The mean undiscounted return over all tasks' trajectories."""
        return float(self.trajectories.rewards.sum() / self.trajectories.num_trajectories.sum())


class Iteration(NamedTuple):
    """What one meta-iteration did.

    Attributes:
        theta: the new parameters, [P].
        returns: mean undiscounted return before and after each inner step, over all tasks' trajectories: a list.
        step: the trpo.Step.
        physics_failures: trajectories that a breakdown of the physics ended.
    """

    theta: np.ndarray
    returns: list
    step: trpo.Step
    physics_failures: int


class MAMLTRPO:
    """Meta-learns a policy's initialisation: one policy gradient step inside, TRPO outside.

    With `num_steps=0` it is TRPO on all tasks' samples together: the pretrained policy, and the oracle where the
    observation shows the goal (PROTOCOL 3.7).

    Args:
        policy: a GaussianPolicy.
        step_size: alpha.
        region: trpo.TrustRegion.
        num_steps: inner steps in training; 1 in the paper.
        likelihood_ratio: whether the meta-gradient differentiates the likelihood ratio's gradient or the
            log-likelihood's (see `policy_gradient_loss`). The inner step itself is the same.
    """

    def __init__(self, policy, step_size, region, num_steps=1, likelihood_ratio=False):
        self.policy = policy
        self.objective = MetaObjective(policy, step_size, likelihood_ratio)
        self.step_size = step_size
        self.region = region
        self.num_steps = num_steps

    def initial_parameters(self):
        """The policy's own parameters as theta, float64 [P]."""
        return self.objective.flat(self.policy.parameters()).numpy().astype(np.float64)

    def iteration(self, theta, sampler, goals, rng):
        """Samples, adapts, samples again, and updates theta.

        Args:
            theta: float64 [P].
            sampler: Sampler of T tasks.
            goals: the tasks' goals, as `Sampler.sample` takes them.
            rng: a `numpy.random.Generator`, for the seeds of sampling.

        Returns:
            An Iteration.

        Raises:
            FloatingPointError: a policy or the update broke down; the message says where.
        """
        stages = list(self.adaptation(theta, sampler, goals, [self.step_size] * self.num_steps, rng))
        step = self.update(theta, stages)
        failures = sum(int(stage.trajectories.physics_failures.sum()) for stage in stages)
        return Iteration(step.theta, [stage.mean_return for stage in stages], step, failures)

    def adaptation(self, theta, sampler, goals, step_sizes, rng):
        """Samples with theta's policy and adapts it to every task, as often as there are step sizes.

        Args:
            theta: [P].
            sampler: Sampler of T tasks.
            goals: the tasks' goals, as `Sampler.sample` takes them.
            step_sizes: alpha of each inner step.
            rng: a `numpy.random.Generator`, for the seeds of sampling.

        Yields:
            The Stage before the first inner step and after each.

        Raises:
            FloatingPointError: a policy broke down; the message says where.
        """
        params = tf.tile(self._tensor(theta)[tf.newaxis], [sampler.num_tasks, 1])
        for step_size in (*step_sizes, None):
            actor = self.policy.actor(self.objective.unflat(params))
            trajectories = sampler.sample(actor, goals, seed=int(rng.integers(2**31)))
            batch = policy_batch(trajectories, self.policy.dtype)
            yield Stage(params, trajectories, batch)
            if step_size is not None:
                params = self.objective.adapted(params, batch, self._tensor(step_size))

    def loss_and_gradient(self, theta, stages):
        """(surrogate loss, its gradient float64 [P]) at theta, from the Stages that were sampled with it."""
        earlier, later, old = self._sampled(stages)
        loss, gradient = self.objective.loss_and_gradient(self._tensor(theta), earlier, later, old)
        return float(loss), gradient.numpy().astype(np.float64)

    def update(self, theta, stages):
        """TRPO's step from theta, a trpo.Step, from the Stages that were sampled with it."""
        path = [stage.params for stage in stages]
        earlier, later, old = self._sampled(stages)

        def loss_and_gradient(theta):
            loss, gradient = self.objective.loss_and_gradient(self._tensor(theta), earlier, later, old)
            return float(loss), gradient.numpy().astype(np.float64)

        def loss_and_kl(theta):
            loss, kl = self.objective.loss_and_kl(self._tensor(theta), earlier, later, old)
            return float(loss), float(kl)

        def kl_gradient(theta):
            return self.objective.kl_gradient(self._tensor(theta), earlier, later, old).numpy().astype(np.float64)

        return trpo.update(
            trpo.Objective(loss_and_gradient, loss_and_kl, self.objective.fisher(path, earlier, later), kl_gradient),
            theta,
            self.region,
        )

    def _sampled(self, stages):
        """Of Stages, for the objective: the batches before the last, the last, and the moments that sampled each."""
        *earlier, later = (stage.batch for stage in stages)
        return earlier, later, [self.objective.moments(stage.params, stage.batch) for stage in stages]

    def _tensor(self, vector):
        return tf.constant(vector, self.policy.dtype)
