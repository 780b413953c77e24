"""How the tasks of a batch are executed: vectorised or one by one, compiled or not, and how many at a time."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import keras
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.structures import dense, leading_size, rows
from maml_tf.runtime import available_cores

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
        vectorized_by_user: whether the user asked for vectorised execution.
    """

    vectorized: bool
    jit_compile: bool
    low_rank_updates: bool = False
    task_chunk: int | None = None
    vectorized_by_user: bool = False

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
            ValueError: `vectorized` or `low_rank_updates` is asked for where it is impossible, or `task_chunk` is not
                positive.
        """
        low_rank_updates_asked = low_rank_updates
        if task_chunk is not None and task_chunk < 1:
            raise ValueError(f"task_chunk is {task_chunk}; expected a whole number from 1, or None")
        takes_task_axis = bool(getattr(model, "takes_task_axis", False))
        if vectorized and not takes_task_axis:
            raise ValueError(
                f"vectorized=True needs a model whose weights may have a task axis, as the models of maml_tf.models; "
                f"{type(model).__name__} {model.name!r} does not say that it is one (takes_task_axis = True)"
            )
        by_user = bool(vectorized)
        if vectorized is None:
            vectorized = takes_task_axis and not _has_state_or_losses(model) and not _convolves_on_cpu(model)
        possible = low_rank_possible and vectorized and hasattr(model, "call_with_updates")
        if low_rank_updates and not possible:
            raise ValueError(
                "low_rank_updates needs vectorized tasks, a model with `call_with_updates`, "
                "and the default of `adaptable`, `inner_update` and `gradient_checkpointing`"
            )
        if low_rank_updates is None:
            low_rank_updates = possible and prefers_low_rank_updates(model)
        return cls(vectorized, vectorized, bool(low_rank_updates), task_chunk, by_user or bool(low_rank_updates_asked))

    def of_unequal_tasks(self) -> TaskExecution:
        """The execution of tasks that differ in their numbers of examples: one by one.

        Raises:
            UsageError: the user asked for vectorised execution or low-rank updates.
        """
        if self.vectorized and self.vectorized_by_user:
            raise UsageError(
                "the tasks differ in their numbers of examples, so they are run one by one: pass vectorized=False to "
                "the learner, without low_rank_updates"
            )
        return TaskExecution(vectorized=False, jit_compile=False, task_chunk=self.task_chunk)

    def map(self, function: Callable[..., Any], params: Sequence[tf.Tensor], tasks: Any, *, unroll: bool = True) -> Any:
        """Calls `function(params, support_x, support_y, query_x, query_y)` for the T tasks of a batch.

        Vectorised execution makes one call, with a task axis in front of parameters and data. Otherwise there is one
        call for each task, without the axis.

        Args:
            function: returns a tensor or a structure of tensors.
            params: theta.
            tasks: a TaskBatch, or a tuple of structures with the task axis first: the arguments after `params`.
            unroll: in a graph, lay out the tasks one after another, which runs fastest but takes long to trace.
                Otherwise they run in a loop that is traced once, which suits a function that returns one tensor, runs
                only a few times and is not differentiated.

        Returns:
            The T tasks' values, stacked: [T, ...].
        """
        T = leading_size(tasks)
        if self.vectorized:
            return function([tf.broadcast_to(p, [T, *p.shape]) for p in params], *tasks)
        if not unroll:
            return tf.map_fn(
                lambda task: tf.cast(function(params, *task), params[0].dtype),
                tuple(tasks),
                fn_output_signature=params[0].dtype,
                parallel_iterations=available_cores(),
            )
        of_tasks = [function(params, *_task(tasks, index)) for index in range(T)]
        return tf.nest.map_structure(lambda *values: tf.stack(values), *of_tasks)

    def mean_and_gradient(
        self, task_losses: Callable[..., tuple[tf.Tensor, list[tf.Tensor]]], params: Sequence[tf.Tensor], tasks: Any
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        """The mean over T tasks of a loss, and its gradient; at most `task_chunk` tasks are differentiated at a time.

        Args:
            task_losses: (params, tasks) -> (losses [tasks], further tensors [tasks, ...]).
            params, tasks: as in `map`.

        Returns:
            (loss [], list of gradients in the order of `params`, the means of the further tensors)
        """
        T = leading_size(tasks)
        if self.vectorized:
            part_size, parts_at_once = self.task_chunk or T, 1
        else:
            part_size, parts_at_once = 1, self.task_chunk or 2 * available_cores()

        def loss_and_gradient(params, part):
            with tf.GradientTape() as tape:
                tape.watch(params)
                losses, others = task_losses(params, part)
                loss = tf.reduce_sum(losses) / T
            gradient = tape.gradient(loss, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return loss, list(map(dense, gradient)), [tf.reduce_sum(tensor, axis=0) / T for tensor in others]

        # In a graph a part is a function of its own, traced once for all parts. It is called, not inlined: TensorFlow's
        # optimizer merged inlined parts into cycles.
        of_part = loss_and_gradient
        if not tf.executing_eagerly():
            of_part = tf.function(of_part, autograph=False, experimental_attributes={"_noinline": True})
        loss: Any = 0.0
        gradients: list[tf.Tensor] = [tf.zeros_like(p) for p in params]
        of_parts, others = [], []
        for start in range(0, T, part_size):
            part = rows(tasks, start, start + part_size)
            # A part begins when the part `parts_at_once` before it has its gradient.
            with tf.control_dependencies(of_parts[-parts_at_once] if len(of_parts) >= parts_at_once else []):
                part = tf.nest.map_structure(lambda leaf: None if leaf is None else tf.identity(leaf), part)
            part_loss, found, part_others = of_part(params, part)
            of_parts.append(list(map(tf.identity, found)))  # a function's outputs give no control dependencies
            others.append(part_others)
            loss += part_loss
            gradients = [g + d for g, d in zip(gradients, found, strict=True)]
        return loss, gradients, [tf.add_n(parts) for parts in zip(*others, strict=True)]


def _task(tasks, index):
    """One task of several, without the task axis."""
    return tf.nest.map_structure(lambda leaf: None if leaf is None else leaf[index], tuple(tasks))


def prefers_low_rank_updates(model: keras.Model) -> bool:
    """Whether a model supports low-rank updates and has kernels that are large enough to gain from them."""
    largest = max(variable.shape.num_elements() for variable in map(tf.convert_to_tensor, model.trainable_variables))
    return hasattr(model, "call_with_updates") and largest > LARGE_KERNEL


def vectorized_copy(learner: Learner) -> Learner:
    """A copy of a learner that runs all tasks as one under XLA, even where this device would be faster otherwise."""
    learner = copy.copy(learner)
    learner.task_execution = dataclasses.replace(learner.task_execution, vectorized=True, jit_compile=True)
    return learner


def _has_state_or_losses(model: keras.Model) -> bool:
    """Whether a model has running values, random numbers or regularisers, none of which have a task axis."""
    layers, variables = model._flatten_layers(), model.trainable_variables
    regularized = [layer.activity_regularizer for layer in layers] + [variable.regularizer for variable in variables]
    running = [variable for layer in layers for variable in layer._non_trainable_variables]
    seeds = [variable for variable in model.non_trainable_variables if variable.name == "seed_generator_state"]
    return bool(running or seeds) or any(regularized)


def _convolves_on_cpu(model: keras.Model) -> bool:
    has_convolutions = any(len(variable.shape) == 4 for variable in model.trainable_variables)
    return has_convolutions and not tf.config.list_physical_devices("GPU")
