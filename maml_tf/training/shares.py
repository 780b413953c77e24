"""The tasks of a meta-batch in shares, each of them computed by another device or machine and then summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.compiled import compiled
from maml_tf.meta.learner import Learner, MetaStep
from maml_tf.meta.model_function import seeds_of_tasks
from maml_tf.meta.structures import rows
from maml_tf.tasks.base import TaskBatch
from maml_tf.training.sending import to_bytes
from maml_tf.training.workers import Workers

GROUPS = 8  # of a batch whose tasks are run as one


class Spread(Protocol):
    """Computes the meta-step of a batch in shares.

    Attributes:
        in_graph: whether `meta_step` is made of TensorFlow operations.
    """

    in_graph: bool

    def meta_step(self, params: Sequence[tf.Tensor], batch: TaskBatch, seed: tf.Tensor) -> MetaStep:
        """See `Learner.meta_step`."""
        ...


def share_of_step(
    learner: Learner, params: Sequence[tf.Tensor], share: TaskBatch, seeds: tf.Tensor, num_tasks: int
) -> MetaStep:
    """What some tasks add to the meta-step of a batch: loss and gradients. The state is the mean over these tasks.

    Args:
        learner: a MAML or one of the baselines.
        params: theta.
        share: the tasks.
        seeds: of these tasks, int32 [tasks, 2] (`seeds_of_tasks`).
        num_tasks: T, of the whole batch.
    """
    step = learner.meta_step(params, share, seeds)
    weight = share.num_tasks / num_tasks
    return MetaStep(step.loss * weight, [g * weight for g in step.gradients], step.state)


def mean_state(states: Sequence[Sequence[Any]], counts: Sequence[int]) -> list[Any]:
    """The mean over all tasks of the model's state, of the means over shares with these numbers of tasks.

    A value that is the same in all shares keeps its bits.
    """
    first, *others = states
    weights = [count / sum(counts) for count in counts[1:]]
    return [
        value + sum((other[index] - value) * weight for other, weight in zip(others, weights, strict=True))
        if others
        else value
        for index, value in enumerate(first)
    ]


def even_parts(num_tasks: int, parts: int) -> list[tuple[int, int]]:
    """(start, stop) of contiguous parts whose sizes differ by one task at most."""
    return [(part * num_tasks // parts, (part + 1) * num_tasks // parts) for part in range(parts)]


class MirroredSpread:
    """The tasks of a batch on the devices of one machine; the gradients are summed by the strategy.

    Args:
        learner: a MAML or one of the baselines.
        strategy: a `tf.distribute.MirroredStrategy`.
        batch_size: T, number of tasks in each iteration.

    Raises:
        UsageError: it is another strategy, or has more devices than the batch has tasks.
    """

    in_graph = True

    def __init__(self, learner: Learner, strategy: tf.distribute.Strategy, batch_size: int):
        if not isinstance(strategy, tf.distribute.MirroredStrategy):
            raise UsageError(
                f"strategy: a {type(strategy).__name__} is not allowed; expected a tf.distribute.MirroredStrategy. "
                "workers= spreads a training over machines"
            )
        self.strategy = strategy
        devices = strategy.num_replicas_in_sync
        if devices > batch_size:
            raise UsageError(
                f"batch_size: {batch_size} is not allowed with a strategy of {devices} devices; expected one task for "
                "each at least"
            )
        self._parts = even_parts(batch_size, devices)

        def share(params, tasks, seeds):
            return share_of_step(learner, params, tasks, seeds, batch_size)

        self._share = compiled(share, jit_compile=learner.task_execution.jit_compile, reduce_retracing=True)

    def meta_step(self, params: Sequence[tf.Tensor], batch: TaskBatch, seed: tf.Tensor) -> MetaStep:
        """See `Learner.meta_step`."""
        seeds = seeds_of_tasks(seed, batch.num_tasks)

        def replica(params, batch, seeds):
            index = tf.distribute.get_replica_context().replica_id_in_sync_group  # a constant of the graph
            part = self._parts[int(tf.get_static_value(index))]
            return self._share(params, batch.tasks(*part), seeds[slice(*part)])

        shares = self.strategy.run(replica, args=(list(params), batch, seeds))
        loss, *gradients = (
            self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for value in (shares.loss, *shares.gradients)
        )
        states = zip(*map(self.strategy.experimental_local_results, shares.state), strict=True)
        counts = [stop - start for start, stop in self._parts]
        return MetaStep(loss, gradients, mean_state(list(states), counts) if shares.state else [])


class SharesOfSteps:
    """What a worker holds: a learner, of whose meta-steps it computes shares.

    Args:
        learner: a MAML or one of the baselines.
        batch_size: T, number of tasks in each iteration.
    """

    def __init__(self, learner: Learner, batch_size: int):
        self.learner, self.batch_size = learner, batch_size
        self._compiled = None

    def share(self, group: int, tasks: TaskBatch, seeds: np.ndarray, params: list[np.ndarray]) -> MetaStep:
        """`share_of_step` of a group, in arrays."""
        del group  # every group is computed in the same way
        if self._compiled is None:
            jit_compile = self.learner.task_execution.jit_compile
            self._compiled = compiled(self._share, jit_compile=jit_compile, reduce_retracing=True)
        tasks, seeds, params = tf.nest.map_structure(tf.constant, (tasks, seeds, params))
        return tf.nest.map_structure(np.asarray, self._compiled(params, tasks, seeds))

    def _share(self, params, tasks, seeds):
        return share_of_step(self.learner, params, tasks, seeds, self.batch_size)


class WorkerSpread:
    """The tasks of a batch on workers, in fixed groups whose shares are summed in their order.

    A group is one task where the learner runs tasks one by one, its `task_chunk` where that is set, and otherwise an
    eighth of the batch. So the groups, and with them the result, do not depend on the number of workers.

    Args:
        learner: a MAML or one of the baselines.
        workers: those that compute. They are open until `close`.
        batch_size: T, number of tasks in each iteration.

    Raises:
        UsageError: there are more workers than groups, or the learner cannot be sent to them.
    """

    in_graph = False

    def __init__(self, learner: Learner, workers: Workers, batch_size: int):
        execution = learner.task_execution
        size = (execution.task_chunk or -(-batch_size // GROUPS)) if execution.vectorized else 1
        self._groups = [(start, min(start + size, batch_size)) for start in range(0, batch_size, size)]
        if workers.num_workers > len(self._groups):
            raise UsageError(
                f"workers: {workers.num_workers} are not allowed; a batch of {batch_size} tasks has "
                f"{len(self._groups)} groups of {size} that are computed by one worker each"
            )
        self._workers = workers
        workers.open(to_bytes(SharesOfSteps(learner, batch_size), learner.model))

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()

    def meta_step(self, params: Sequence[tf.Tensor], batch: TaskBatch, seed: tf.Tensor) -> MetaStep:
        """See `Learner.meta_step`."""
        seeds = np.asarray(seeds_of_tasks(seed, batch.num_tasks))
        arguments = [(_arrays(rows(batch, *group)), seeds[slice(*group)]) for group in self._groups]
        theta = [np.asarray(p) for p in params]
        shares = self._workers.repeated(lambda: self._workers.map("share", arguments, [theta]))
        loss, gradients = shares[0].loss, list(shares[0].gradients)
        for share in shares[1:]:
            loss = loss + share.loss
            gradients = [g + more for g, more in zip(gradients, share.gradients, strict=True)]
        counts = [stop - start for start, stop in self._groups]
        state = mean_state([share.state for share in shares], counts)
        return tf.nest.map_structure(tf.constant, MetaStep(loss, gradients, state))


def _arrays(tasks: TaskBatch) -> TaskBatch:
    """A group of tasks as arrays. Tasks that differ in their numbers of examples come one by one."""
    return tf.nest.map_structure(
        lambda part: np.asarray(part.to_tensor() if isinstance(part, tf.RaggedTensor) else part), tasks
    )
