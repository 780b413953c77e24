"""Batches of tasks, and the distributions that tasks are drawn from."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raises a UsageError where a value is no whole number from `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UsageError(f"{name}: {value!r} is not allowed; expected a whole number from {least}")


class TaskBatch(NamedTuple):
    """T tasks, each with a support set to adapt to and a query set to evaluate the adapted parameters on.

    Every tensor has the task axis first. There are N ways with K support and Q query examples each; in regression N
    is 1. For a model with several inputs or outputs, a dictionary, tuple or list of tensors takes the place of one.

    Attributes:
        support_x: [T, N*K, ...]
        support_y: [T, N*K] labels or [T, N*K, outputs] values
        query_x: [T, N*Q, ...]
        query_y: [T, N*Q] or [T, N*Q, outputs]
    """

    support_x: Any
    support_y: Any
    query_x: Any
    query_y: Any

    @property
    def num_tasks(self) -> int:
        """T.

        Raises:
            ValueError: the tensors differ in the length of their first axis.
        """
        shapes = {name: [list(x.shape) for x in tf.nest.flatten(value)] for name, value in self._asdict().items()}
        first = [shape[0] if shape else None for of_field in shapes.values() for shape in of_field]
        if first[0] is None or first != [first[0]] * len(first):
            raise ValueError(f"every tensor of a TaskBatch needs the task axis first, of one length, not {shapes}")
        return first[0]

    def tasks(self, start: int, stop: int) -> "TaskBatch":
        """The tasks `start` to `stop` - 1 as a TaskBatch."""
        return tf.nest.map_structure(lambda tensor: tensor[start:stop], self)

    @classmethod
    def from_tasks(cls, tasks: Sequence[Sequence[Any]]) -> "TaskBatch":
        """A batch of tasks that may differ in their numbers of examples.

        Where they differ, the tensors are `tf.RaggedTensor`s. Such tasks are run one by one, each with exactly its own
        examples.

        Args:
            tasks: T times (support_x, support_y, query_x, query_y) without a task axis.
        """
        return cls(*(tf.nest.map_structure(_stacked, *parts) for parts in zip(*tasks, strict=True)))

    def masked(self, support_mask: Any, query_mask: Any) -> "TaskBatch":
        """The batch without its padding, as `from_tasks` makes it.

        Args:
            support_mask, query_mask: bool [T, N*K] and [T, N*Q], false for rows that only fill up a task.
        """
        masks = (support_mask, support_mask, query_mask, query_mask)
        return TaskBatch(
            *(
                tf.nest.map_structure(lambda tensor, mask=mask: tf.ragged.boolean_mask(tensor, mask), part)
                for part, mask in zip(self, masks, strict=True)
            )
        )

    @property
    def is_ragged(self) -> bool:
        """Whether the tasks differ in their numbers of examples."""
        return any(isinstance(tensor, tf.RaggedTensor) for part in self for tensor in tf.nest.flatten(part))


class TaskDistribution(abc.ABC):
    """p(T), the distribution over tasks (paper section 2.1).

    Attributes:
        examples: the array that tasks are drawn from; None if they come from a formula.
        in_graph: whether `sample` is made of TensorFlow operations; `NumPyTasks` is for those that are not.
    """

    examples: tf.Tensor | None = None
    in_graph: bool = True

    @abc.abstractmethod
    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """Draws tasks.

        The result must depend on the arguments only and be made of TensorFlow operations. Then it can be part of a
        compiled training loop, and the same seed gives the same tasks everywhere.

        Args:
            seed: stateless seed, int32 [2] (see `maml_tf.tasks.random`).
            num_tasks: T, a Python integer.

        Returns:
            A TaskBatch of T tasks.
        """

    def over(self, examples: tf.Tensor) -> "TaskDistribution":
        """The same distribution over tasks drawn from other examples.

        Args:
            examples: an array, or an argument of a traced function.

        Raises:
            NotImplementedError: the tasks are not drawn from examples.
        """
        raise NotImplementedError(f"the tasks of {type(self).__name__} are not drawn from examples")


def _stacked(*tensors: Any) -> tf.Tensor | tf.RaggedTensor:
    """One part of T tasks along a new first axis."""
    parts = [tf.convert_to_tensor(tensor) for tensor in tensors]
    if len({tuple(part.shape) for part in parts}) == 1:
        return tf.stack(parts)
    return tf.RaggedTensor.from_row_lengths(tf.concat(parts, 0), [part.shape[0] for part in parts])
