"""Tasks that a Python function draws with NumPy, outside of the compiled graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.tasks.base import TaskBatch, TaskDistribution

PARTS = TaskBatch._fields


class NumPyTasks(TaskDistribution):
    """Tasks drawn by a Python function: from a simulator, from files, with pandas or NumPy.

        def draw_task(rng):
            a, x = rng.uniform(1, 2), rng.uniform(-1, 1, (20, 1))
            return x[:10], a * x[:10], x[10:], a * x[10:]

        mt.train(learner, mt.tasks.NumPyTasks(draw_task))

    `sample` of a `TaskDistribution` is compiled: NumPy's random numbers in it would be drawn once and stay the same for
    ever. This function runs before every iteration instead, in a thread that prepares the next tasks while the
    iteration before is computed. All its randomness must come from `rng`. Then the same seed gives the same tasks, and
    a training that is resumed ends with the same numbers.

    Tasks may have different numbers of examples (see `TaskBatch.from_tasks`).

    Args:
        draw_task: a function of a `numpy.random.Generator` that returns one task (support_x, support_y, query_x,
            query_y): arrays without a task axis, or structures of arrays. Floating-point numbers become Keras' floatx.
    """

    in_graph = False

    def __init__(self, draw_task: Callable[[np.random.Generator], Sequence[Any]]):
        if not callable(draw_task):
            raise UsageError(
                f"draw_task: {draw_task!r} is not allowed; expected a function of a numpy.random.Generator that "
                "returns (support_x, support_y, query_x, query_y)"
            )
        self.draw_task = draw_task

    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """Draws tasks (see `TaskDistribution.sample`), each from a generator of the seed and its number."""
        if tf.is_tensor(seed) and not hasattr(seed, "numpy"):
            raise UsageError("NumPyTasks are drawn outside of compiled functions; inside of one there is no seed yet")
        words = [int(word) & 0xFFFFFFFF for word in np.asarray(seed)]
        return TaskBatch.from_tasks([self._task(np.random.default_rng([*words, task])) for task in range(num_tasks)])

    def _task(self, rng: np.random.Generator) -> list[Any]:
        task = self.draw_task(rng)
        if not isinstance(task, tuple | list) or len(task) != len(PARTS):
            given = f"{len(task)} parts" if isinstance(task, tuple | list) else f"a {type(task).__name__}"
            raise UsageError(f"draw_task returned {given}; expected ({', '.join(PARTS)})")
        return [
            tf.nest.map_structure(lambda array, name=name: _tensor(array, name), part)
            for name, part in zip(PARTS, task, strict=True)
        ]


def _tensor(array: Any, name: str) -> tf.Tensor:
    try:
        tensor = tf.convert_to_tensor(array if tf.is_tensor(array) else np.asarray(array))
    except (ValueError, TypeError) as error:
        raise UsageError(f"draw_task: {name} is no array of numbers ({error})") from None
    if tensor.shape.rank == 0:
        raise UsageError(f"draw_task: {name} is a single number; expected an array with one row for each example")
    return tf.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor
