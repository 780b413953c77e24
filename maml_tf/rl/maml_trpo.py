"""Algorithm 3 of the paper: MAML for reinforcement learning (PROTOCOL 3.3 to 3.5)."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.arguments import number, whole_number
from maml_tf.meta.functional import weight_names
from maml_tf.rl import trpo
from maml_tf.rl.meta_objective import MetaObjective
from maml_tf.rl.policy import Policy
from maml_tf.rl.policy_gradient import PolicyBatch, policy_batch
from maml_tf.rl.sampling.numpy_policy import Actor
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.sampling.trajectories import Trajectories
from maml_tf.training.adam import TrainingState

META_TRAINED = ("all", "adaptable")


class AdaptationStep(NamedTuple):
    """The policies of T tasks after some number of inner steps, and what they sampled.

    Attributes:
        params: [T, P], each task's parameters as one vector (`MetaObjective.unflat` makes lists of it).
        actor: draws the T policies' actions.
        trajectories: what they sampled.
        batch: the same as a PolicyBatch.
    """

    params: tf.Tensor
    actor: Actor
    trajectories: Trajectories
    batch: PolicyBatch

    @property
    def mean_return(self) -> float:
        """The mean undiscounted return over all tasks' trajectories."""
        return float(self.trajectories.rewards.sum() / self.trajectories.num_trajectories.sum())


class MetaIteration(NamedTuple):
    """The outcome of one meta-iteration.

    Attributes:
        state: TrainingState with the new theta.
        returns: mean undiscounted return over all tasks' trajectories before the first inner step and after each.
        metrics: what the meta-update did, by name: its "loss" and more.
        physics_failures: trajectories that ended because the physics broke down.
    """

    state: TrainingState
    returns: list[float]
    metrics: dict[str, float]
    physics_failures: int


class MAMLTRPO:
    """Meta-learns the initialisation of a policy: policy gradient in the inner loop, TRPO in the outer loop.

    With `num_steps=0` it is TRPO on the samples of all tasks: the pretrained policy, or the oracle if observations show
    the goal (PROTOCOL 3.7).

    Args:
        policy: a policy whose own parameters are theta at first. They are never changed.
        step_size: alpha.
        trust_region: limits of the meta-update; by default TrustRegion().
        num_steps: inner steps in training; 1 in the paper.
        likelihood_ratio: which inner loss the meta-gradient differentiates (see `policy_gradient_loss`). Both make the
            same inner step.
        meta_trained: "all", or "adaptable": only the parameters that the inner step adapts, as in the authors' code of
            the context vector (PROTOCOL 2.7). The others then keep their initial values.

    Raises:
        UsageError: `meta_trained` is neither of these, or a number is out of its range.
    """

    card: Any = None  # of published weights (see `maml_tf.load`)

    def __init__(
        self,
        policy: Policy,
        step_size: float,
        trust_region: trpo.TrustRegion | None = None,
        num_steps: int = 1,
        likelihood_ratio: bool = False,
        meta_trained: str = "all",
    ):
        if meta_trained not in META_TRAINED:
            raise UsageError(
                f"meta_trained: {meta_trained!r} is not allowed; expected one of {', '.join(META_TRAINED)}"
            )
        number("step_size", step_size)
        whole_number("num_steps", num_steps, least=0)
        self.policy = policy
        self.objective = MetaObjective(policy, step_size, likelihood_ratio)
        changed = self.objective.adaptable if meta_trained == "adaptable" else np.ones_like(self.objective.adaptable)
        self._meta_trained = np.flatnonzero(changed)  # positions in theta as one vector
        self.step_size = step_size
        self.trust_region = trust_region or trpo.TrustRegion()
        self.num_steps = num_steps

    def initial_params(self) -> list[tf.Tensor]:
        """theta before training: the policy's own parameters."""
        return self.policy.initial_params()

    def actor(self, params: Sequence[tf.Tensor] | None = None) -> Actor:
        """The policy of theta before adaptation, as the actor of one task (see `maml_tf.rl.roll_out`)."""
        params = self.initial_params() if params is None else params
        return self.policy.actor([p[tf.newaxis] for p in params])

    @property
    def model(self) -> Policy:
        """The policy, under the name that the model of every learner has."""
        return self.policy

    @property
    def param_names(self) -> list[str]:
        """A name for each parameter in theta."""
        return weight_names(self.policy)

    def initial_state(self) -> TrainingState:
        """The state before the first iteration."""
        return TrainingState.start(self.initial_params())

    def iteration(
        self, state: TrainingState, sampler: Sampler, goals: np.ndarray | None, rng: np.random.Generator
    ) -> MetaIteration:
        """One pass through the loop of Algorithm 3, for tasks that were drawn (line 3).

        Args:
            state: theta and the number of iterations so far; `initial_state()` at first.
            sampler: of T tasks.
            goals: the tasks' goals, as `Sampler.sample` takes them.
            rng: for the seeds of sampling.

        Raises:
            FloatingPointError: a policy or the update broke down; the message says where.
        """
        # Lines 4 to 8: sample with theta's policy, adapt it to every task, sample with the adapted policies.
        steps = list(self.adaptation(state.params, sampler, goals, [self.step_size] * self.num_steps, rng))
        # Line 10: update theta by the samples of the adapted policies.
        state, metrics = self.meta_update(state, steps)
        failures = sum(int(step.trajectories.physics_failures.sum()) for step in steps)
        return MetaIteration(state, [step.mean_return for step in steps], metrics, failures)

    def adaptation(
        self,
        params: Sequence[tf.Tensor],
        sampler: Sampler,
        goals: np.ndarray | None,
        step_sizes: Sequence[float],
        rng: np.random.Generator,
    ) -> Iterator[AdaptationStep]:
        """Samples with theta's policy and adapts it to every task, once for each step size.

        Args:
            params: theta.
            sampler: of T tasks; its environments must fit the policy.
            goals: the tasks' goals, as `Sampler.sample` takes them.
            step_sizes: alpha of each inner step.
            rng: for the seeds of sampling.

        Yields:
            The AdaptationStep before the first inner step and after each.

        Raises:
            UsageError: the policy's observations or actions are not those of the environments.
            FloatingPointError: a policy broke down; the message says where.
        """
        sampler.check_policy(self.policy)
        adapted = tf.tile(self.objective.flat(params)[tf.newaxis], [sampler.num_tasks, 1])
        for step_size in (*step_sizes, None):
            actor = self.policy.actor(self.objective.unflat(adapted))
            trajectories = sampler.sample(actor, goals, seed=int(rng.integers(2**31)))  # lines 5 and 8
            batch = policy_batch(trajectories, self.policy.dtype)
            yield AdaptationStep(adapted, actor, trajectories, batch)
            if step_size is not None:
                adapted = self.objective.adapted(
                    adapted, batch, tf.constant(step_size, self.policy.dtype)
                )  # lines 6, 7

    def meta_update(
        self, state: TrainingState, steps: Sequence[AdaptationStep]
    ) -> tuple[TrainingState, dict[str, float]]:
        """The step on the surrogate loss after adaptation (line 10), from samples of theta's own adaptation."""
        return self.update(state, self.objective.at(steps))

    def update(self, state: TrainingState, objective: trpo.Objective) -> tuple[TrainingState, dict[str, float]]:
        """TRPO's step on an objective of theta as one vector.

        Returns:
            The state with the new theta, and loss, KL divergence and rejected step lengths by name. No accepted length
            leaves theta as it is.
        """
        theta = self.objective.flat(state.params).numpy().astype(np.float64)
        objective = objective.restricted(theta, self._meta_trained)
        step = trpo.update(objective, theta[self._meta_trained], self.trust_region)
        theta[self._meta_trained] = step.theta
        params = self.objective.unflat(tf.constant(theta, self.policy.dtype))
        metrics = {"loss": step.loss_after, "kl": step.kl, "backtracks": step.backtracks}
        return state._replace(iteration=state.iteration + 1, params=params), metrics
