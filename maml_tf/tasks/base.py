"""What is learned from: batches of tasks and the distributions they come from."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class TaskBatch(NamedTuple):
    """T tasks, each with its support set (to adapt on) and its query set (to judge the adapted parameters by).

    Every tensor has the task axis first. N ways, K shots (support) and Q query examples a way; regression has N = 1.

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
        """The tasks start..stop-1 as a TaskBatch."""
        return TaskBatch(*(tensor[start:stop] for tensor in self))


class TaskDistribution(abc.ABC):
    """p(T), the distribution over tasks (paper section 2.1).

    Attributes:
        examples: the array that the tasks are cut from; None where they come from a formula.
    """

    examples = None

    @abc.abstractmethod
    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """Draws tasks: a pure function of its arguments, made of TensorFlow operations only.

        It can therefore run inside a compiled training loop, and the same seed gives the same tasks anywhere.

        Args:
            seed: stateless seed, int32 [2].
            num_tasks: T, a Python integer.

        Returns:
            A TaskBatch of T tasks.
        """

    def over(self, examples: tf.Tensor) -> "TaskDistribution":
        """The same distribution with `examples` in place of its own: an array, or an argument of a traced function."""
        raise NotImplementedError(f"the tasks of {type(self).__name__} are cut from no examples")
