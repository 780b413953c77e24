"""An iteration of Algorithm 3 whose tasks are spread over workers, in the groups of the sampler.

A worker samples with the policies of a group, adapts them, and keeps what they sampled until the next iteration. TRPO's
update asks all groups for their parts of the surrogate loss, its gradient, the KL divergence and the Fisher products.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl import trpo
from maml_tf.rl.maml_trpo import MAMLTRPO, MetaIteration
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.training.adam import TrainingState
from maml_tf.training.sending import to_bytes
from maml_tf.training.workers import Workers


class Sampled(NamedTuple):
    """What the tasks of a group sampled.

    Attributes:
        rewards: their sum over all trajectories, before the first inner step and after each.
        trajectories: how many there are, likewise.
        failures: trajectories that ended because the physics broke down.
        time_steps: of the trajectories after the last inner step.
    """

    rewards: list[float]
    trajectories: list[int]
    failures: int
    time_steps: int


class TaskGroups:
    """What a worker holds: the learner, and the samples of its groups.

    Args:
        learner: of the training.
        sampler_options: arguments of the `Sampler` of one group.
    """

    def __init__(self, learner: MAMLTRPO, sampler_options: dict[str, Any]):
        self.learner, self.sampler_options = learner, sampler_options
        self._samplers: dict[int, Sampler] = {}
        self._objectives: dict[int, trpo.Objective] = {}

    def adapt(self, group: int, goals: np.ndarray | None, rng: np.random.Generator, params: Sequence[Any]) -> Sampled:
        """Lines 4 to 8 of Algorithm 3 for the tasks of a group; see `MAMLTRPO.iteration`."""
        if group not in self._samplers:
            self._samplers[group] = Sampler(**self.sampler_options, num_groups=1, first_group=group)
        sampler, step_sizes = self._samplers[group], [self.learner.step_size] * self.learner.num_steps
        try:
            steps = list(self.learner.adaptation(params, sampler, goals, step_sizes, copy.deepcopy(rng)))
        except FloatingPointError as error:
            raise FloatingPointError(f"group {group} of {sampler.num_tasks} tasks: {error}") from None
        self._objectives[group] = self.learner.objective.at(steps)
        return Sampled(
            [float(step.trajectories.rewards.sum()) for step in steps],
            [int(step.trajectories.num_trajectories.sum()) for step in steps],
            sum(int(step.trajectories.physics_failures.sum()) for step in steps),
            int(steps[-1].trajectories.mask.sum()),
        )

    def evaluate(self, group: int, function: str, vector: np.ndarray) -> Any:
        """A function of the group's `trpo.Objective` at a vector."""
        return getattr(self._objectives[group], function)(vector)


class PolicySpread:
    """Runs iterations on workers. Close it afterwards.

    The groups are those of the sampler, whatever the number of workers is. Their parts are summed in their order.

    Args:
        learner: of the training.
        sampler: of the training.
        workers: those that compute.

    Raises:
        UsageError: there are more workers than groups, or the learner or the environments cannot be sent to them.
    """

    def __init__(self, learner: MAMLTRPO, sampler: Sampler, workers: Workers):
        self.num_groups, self.learner = sampler.num_groups, learner
        self.tasks_per_group = sampler.num_tasks // sampler.num_groups
        if workers.num_workers > self.num_groups:
            raise UsageError(
                f"workers: {workers.num_workers} are not allowed; the sampler has {self.num_groups} groups of "
                f"{self.tasks_per_group} tasks that are computed by one worker each (num_groups of the Sampler)"
            )
        sampler.check_policy(learner.policy)
        options = sampler.options | {"num_tasks": self.tasks_per_group}
        self._workers = workers
        workers.open(to_bytes(TaskGroups(learner, options), learner.policy))

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()

    def iteration(
        self, state: TrainingState, sampler: Sampler, goals: np.ndarray | None, rng: np.random.Generator
    ) -> MetaIteration:
        """See `MAMLTRPO.iteration`. The whole iteration is repeated if a worker is lost."""
        size, groups = self.tasks_per_group, range(self.num_groups)
        of_groups = [(None if goals is None else goals[group * size : (group + 1) * size],) for group in groups]
        params = [np.asarray(p) for p in state.params]

        def work() -> MetaIteration:
            sampled = self._workers.map("adapt", of_groups, [rng, params])
            after, metrics = self.learner.update(state, self._objective(sampled))
            rewards, trajectories = (
                np.sum([getattr(one, of) for one in sampled], axis=0) for of in Sampled._fields[:2]
            )
            return MetaIteration(
                after, [*map(float, rewards / trajectories)], metrics, sum(one.failures for one in sampled)
            )

        return self._workers.repeated(work)

    def _objective(self, sampled: Sequence[Sampled]) -> trpo.Objective:
        """The objective of all tasks, of the groups' parts. A group's loss is the mean over its tasks, and its KL
        divergence that over its time steps."""
        tasks = [1 / self.num_groups] * self.num_groups
        total = sum(one.time_steps for one in sampled)
        steps = [one.time_steps / total for one in sampled]

        def parts(function: str, vector: np.ndarray) -> list:
            return self._workers.map("evaluate", [(function,)] * self.num_groups, [vector])

        def loss_and_gradient(theta):
            losses, gradients = zip(*parts("loss_and_gradient", theta), strict=True)
            return float(_sum(losses, tasks)), _sum(gradients, tasks)

        def loss_and_kl(theta):
            losses, divergences = zip(*parts("loss_and_kl", theta), strict=True)
            return float(_sum(losses, tasks)), float(_sum(divergences, steps))

        return trpo.Objective(
            loss_and_gradient,
            loss_and_kl,
            lambda vector: _sum(parts("fisher_product", vector), steps),
            lambda theta: _sum(parts("kl_gradient", theta), steps),
        )


def _sum(values: Sequence[Any], weights: Sequence[float]) -> Any:
    """The weighted sum, from the first to the last."""
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total
