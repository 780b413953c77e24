"""Algorithm 3 of the paper: MAML for reinforcement learning, one meta-iteration (PROTOCOL 3.3 to 3.5)."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from maml_tf.rl import trpo
from maml_tf.rl.meta_objective import MetaObjective
from maml_tf.rl.policy_gradient import policy_batch


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


class MAMLRL:
    """Meta-learns a policy's initialisation: one policy gradient step inside, TRPO outside.

    With `num_steps=0` it is TRPO on all tasks' samples together: the pretrained policy, and the oracle where the
    observation shows the goal (PROTOCOL 3.7).

    Args:
        policy: a GaussianPolicy.
        step_size: alpha.
        region: trpo.TrustRegion.
        num_steps: inner steps in training; 1 in the paper.
    """

    def __init__(self, policy, step_size, region, num_steps=1):
        self.policy = policy
        self.objective = MetaObjective(policy, step_size)
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
        params = tf.tile(self._tensor(theta)[tf.newaxis], [sampler.num_tasks, 1])
        path, batches, returns, failures = [params], [], [], 0
        for step in range(self.num_steps + 1):
            actor = self.policy.actor(self.objective.unflat(path[-1]))
            trajectories = sampler.sample(actor, goals, seed=int(rng.integers(2**31)))
            batches.append(policy_batch(trajectories, self.policy.dtype))
            returns.append(float(trajectories.rewards.sum() / trajectories.num_trajectories.sum()))
            failures += int(np.sum(trajectories.physics_failures))
            if step < self.num_steps:
                path.append(self.objective.adapted(path[-1], batches[-1]))
        step = self.update(theta, path, batches)
        return Iteration(step.theta, returns, step, failures)

    def update(self, theta, path, batches):
        """TRPO's step from theta, from what was sampled.

        Args:
            theta: float64 [P].
            path: parameters [T, P] before each inner step and after the last.
            batches: the PolicyBatch sampled by each of them.

        Returns:
            A trpo.Step.
        """
        *earlier, later = batches
        old = self.objective.moments(path[-1], later)

        def loss_and_gradient(theta):
            loss, gradient = self.objective.loss_and_gradient(self._tensor(theta), earlier, later, old)
            return float(loss), gradient.numpy().astype(np.float64)

        def loss_and_kl(theta):
            loss, kl = self.objective.loss_and_kl(self._tensor(theta), earlier, later, old)
            return float(loss), float(kl)

        def fisher_product(vector):
            product = self.objective.fisher_product(self._tensor(vector), path, earlier, later)
            return product.numpy().astype(np.float64)

        def kl_gradient(theta):
            return self.objective.kl_gradient(self._tensor(theta), earlier, later, old).numpy().astype(np.float64)

        return trpo.update(
            trpo.Objective(loss_and_gradient, loss_and_kl, fisher_product, kl_gradient), theta, self.region
        )

    def _tensor(self, vector):
        return tf.constant(vector, self.policy.dtype)
