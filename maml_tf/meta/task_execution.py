"""How the tasks of a batch are executed: vectorised or one by one, compiled or not, and how many at a time."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import keras
import tensorflow as tf

from maml_tf.runtime import available_cores
from maml_tf.tasks.base import TaskBatch

# Size of a model's largest kernel from which low-rank updates are faster than materialised adapted kernels.
LARGE_KERNEL = 100 * 100

Learner = TypeVar("Learner", bound="HasTaskExecution")


class HasTaskExecution(Protocol):
    """A learner whose tasks are executed as its `task_execution` says."""

    task_execution: TaskExecution


@dataclasses.dataclass(frozen=True)
class TaskExecution:
    """How the tasks of a batch are executed.

    Attributes:
        vectorized: run all tasks as one, with a task axis in front of every parameter. Otherwise each task runs by
            itself, in parallel on the available cores, which works for any Keras model.
        jit_compile: compile with XLA.
        low_rank_updates: represent each task's adapted dense kernels as the shared kernel plus low-rank updates, in
            training (`maml_tf/ops/low_rank_updates.py`). Requires vectorised execution.
        task_chunk: the largest number of tasks that are differentiated at a time, which bounds the memory. None: all
            tasks in vectorised execution, otherwise two for every core (benchmark workload `growth`).
    """

    vectorized: bool
    jit_compile: bool
    low_rank_updates: bool = False
    task_chunk: int | None = None

    @classmethod
    def choose(
        cls,
        model: keras.Model,
        vectorized: bool | None = None,
        task_chunk: int | None = None,
        low_rank_updates: bool | None = None,
        low_rank_possible: bool = True,
    ) -> TaskExecution:
        """The fastest execution of `model` on this device, where the caller leaves it open.

        Batched matrix products under XLA are the fastest wherever the model's layers accept a task axis. Convolutions
        on a CPU are the exception: there each task runs by itself through oneDNN's kernels. Low-rank updates pay off
        for large dense kernels only. The benchmarks (`make bench`) hold the times.

        Args:
            model: a built Keras model.
            vectorized, task_chunk, low_rank_updates: see the attributes; None chooses.
            low_rank_possible: whether the learner's inner loop can be expressed with low-rank updates.

        Raises:
            ValueError: `low_rank_updates` is asked for where it is impossible, or `task_chunk` is not positive.
        """
        if task_chunk is not None and task_chunk < 1:
            raise ValueError(f"task_chunk is {task_chunk}; expected a whole number from 1, or None")
        if vectorized is None:
            vectorized = bool(getattr(model, "takes_task_axis", False)) and not _convolves_on_cpu(model)
        possible = low_rank_possible and vectorized and hasattr(model, "call_with_updates")
        if low_rank_updates and not possible:
            raise ValueError(
                "low_rank_updates needs vectorized tasks, a model with `call_with_updates`, "
                "and the default of `adaptable`, `inner_update` and `gradient_checkpointing`"
            )
        if low_rank_updates is None:
            low_rank_updates = possible and prefers_low_rank_updates(model)
        return cls(vectorized, vectorized, bool(low_rank_updates), task_chunk)

    def map(
        self, function: Callable[..., tf.Tensor], params: Sequence[tf.Tensor], batch: TaskBatch, *, unroll: bool = True
    ) -> tf.Tensor:
        """Calls `function(params, support_x, support_y, query_x, query_y)` for the T tasks of a batch.

        Vectorised execution makes one call, with a task axis in front of parameters and data. Otherwise there is one
        call for each task, without the axis.

        Args:
            function: returns one tensor.
            params, batch: theta and a TaskBatch.
            unroll: in a graph, lay out the tasks one after another, which runs fastest but takes long to trace.
                Otherwise they run in a loop that is traced once, which suits a function that runs only a few times and
                is not differentiated.

        Returns:
            The T tasks' values, stacked: [T, ...].
        """
        T = batch.num_tasks
        if self.vectorized:
            return function([tf.broadcast_to(p, [T, *p.shape]) for p in params], *batch)
        if not unroll:
            return tf.map_fn(
                lambda task: function(params, *task),
                tuple(batch),
                fn_output_signature=params[0].dtype,
                parallel_iterations=available_cores(),
            )
        return tf.stack([function(params, *(tensor[task] for tensor in batch)) for task in range(T)])

    def mean_and_gradient(
        self, task_losses: Callable[..., tf.Tensor], params: Sequence[tf.Tensor], batch: TaskBatch
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The mean over T tasks of a loss, and its gradient; at most `task_chunk` tasks are differentiated at a time.

        Args:
            task_losses: (params, batch) -> [tasks of the batch].
            params, batch: theta and a TaskBatch.

        Returns:
            (loss [], list of gradients in the order of `params`)
        """
        T = batch.num_tasks
        if self.vectorized:
            part_size, parts_at_once = self.task_chunk or T, 1
        else:
            part_size, parts_at_once = 1, self.task_chunk or 2 * available_cores()
        loss: Any = 0.0
        gradients: list[tf.Tensor] = [tf.zeros_like(p) for p in params]
        of_parts = []
        for start in range(0, T, part_size):
            part = batch.tasks(start, start + part_size)
            # A part begins when the part `parts_at_once` before it has its gradient.
            with tf.control_dependencies(of_parts[-parts_at_once] if len(of_parts) >= parts_at_once else []):
                part = type(part)(*map(tf.identity, part))
            with tf.GradientTape() as tape:
                tape.watch(params)
                part_loss = tf.reduce_sum(task_losses(params, part)) / T
            of_parts.append(tape.gradient(part_loss, params))
            loss += part_loss
            gradients = [g + d for g, d in zip(gradients, of_parts[-1], strict=True)]
        return loss, gradients


def prefers_low_rank_updates(model: keras.Model) -> bool:
    """Whether a model supports low-rank updates and has kernels that are large enough to gain from them."""
    largest = max(variable.shape.num_elements() for variable in map(tf.convert_to_tensor, model.trainable_variables))
    return hasattr(model, "call_with_updates") and largest > LARGE_KERNEL


def vectorized_copy(learner: Learner) -> Learner:
    """A copy of a learner that runs all tasks as one under XLA, even where this device would be faster otherwise."""
    learner = copy.copy(learner)
    learner.task_execution = dataclasses.replace(learner.task_execution, vectorized=True, jit_compile=True)
    return learner


def _convolves_on_cpu(model: keras.Model) -> bool:
    has_convolutions = any(len(variable.shape) == 4 for variable in model.trainable_variables)
    return has_convolutions and not tf.config.list_physical_devices("GPU")
