"""Compiled functions of tasks that are drawn from a seed, inside of the graph or before it."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from maml_tf.meta.structures import as_tensors
from maml_tf.tasks.base import TaskBatch, TaskDistribution


def draw(tasks: TaskDistribution, seed: tf.Tensor | Sequence[int], index: tf.Tensor | int, num_tasks: int) -> TaskBatch:
    """The tasks of a seed and an index: of an iteration, or of a batch of a test.

    Args:
        tasks: the distribution.
        seed: stateless seed, int32 [2].
        index: a whole number from 0.
        num_tasks: T.
    """
    return as_tensors(tasks.sample(tf.random.fold_in(tf.convert_to_tensor(seed), index, alg="philox"), num_tasks))


def compiled_with_tasks(
    function: Callable[..., Any], tasks: TaskDistribution, num_tasks: int, *, jit_compile: bool
) -> Callable[..., Any]:
    """Compiles a function of tasks together with their draw, where that is possible.

    Args:
        function: (batch, *arguments) -> tensors.
        tasks: where the batch is drawn from.
        num_tasks: T.
        jit_compile: compile with XLA.

    Returns:
        (seed, index, *arguments) -> tensors, where the batch is drawn from the seed and the index.
    """
    if tasks.in_graph:

        @tf.function(jit_compile=jit_compile, autograph=False)
        def with_draw(seed, index, *arguments):
            return function(draw(tasks, seed, index, num_tasks), *arguments)

        return with_draw
    compiled = tf.function(function, jit_compile=jit_compile, autograph=False, reduce_retracing=True)
    return lambda seed, index, *arguments: compiled(draw(tasks, seed, index, num_tasks), *arguments)
