"""Compiled functions of tasks that are drawn from a seed, inside of the graph or before it."""

import functools
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


def compiled(function: Callable[..., Any], *, jit_compile: bool = False, reduce_retracing: bool = False) -> Any:
    """`tf.function` of a function that is made for one learner, without Autograph.

    TensorFlow counts how often a function is traced by its source code, and would warn of retracing where the same code
    is compiled for several learners, once for each. A partial object has a count for itself.

    Args:
        function: the function.
        jit_compile: compile with XLA.
        reduce_retracing: trace once for inputs whose sizes differ.
    """
    return tf.function(
        functools.partial(function), jit_compile=jit_compile, autograph=False, reduce_retracing=reduce_retracing
    )


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

        def with_draw(seed, index, *arguments):
            return function(draw(tasks, seed, index, num_tasks), *arguments)

        return compiled(with_draw, jit_compile=jit_compile)
    of_batch = compiled(function, jit_compile=jit_compile, reduce_retracing=True)
    return lambda seed, index, *arguments: of_batch(draw(tasks, seed, index, num_tasks), *arguments)
