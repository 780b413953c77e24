"""Batches of tasks, and the distributions that tasks are drawn from."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class TaskBatch(NamedTuple):
    """T tasks, each with a support set to adapt to and a query set to evaluate the adapted parameters on.

    Every tensor has the task axis first. There are N ways with K support and Q query examples each; in regression N
    is 1.

    Attributes:
        support_x: [T, N*K, ...]
        support_y: [T, N*K] labels or [T, N*K, outputs] values
        query_x: [T, N*Q, ...]
        query_y: [T, N*Q] or [T, N*Q, outputs]
    """

    support_x: tf.Tensor
    support_y: tf.Tensor
    query_x: tf.Tensor
    query_y: tf.Tensor

    @property
    def num_tasks(self) -> int:
        """T."""
        return self.support_x.shape[0]

    def tasks(self, start: int, stop: int) -> "TaskBatch":
        """The tasks `start` to `stop` - 1 as a TaskBatch."""
        return TaskBatch(*(tensor[start:stop] for tensor in self))


class TaskDistribution(abc.ABC):
    """p(T), the distribution over tasks (paper section 2.1).

    Attributes:
        examples: the array that tasks are drawn from; None if they come from a formula.
    """

    examples: tf.Tensor | None = None

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
