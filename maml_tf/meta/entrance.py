"""What a training or an evaluation is given, checked on a first draw before anything is compiled."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.adapted_model import AdaptsToTasks
from maml_tf.meta.arguments import task_batch
from maml_tf.meta.learner import Learner
from maml_tf.meta.structures import as_tensors, full_precision
from maml_tf.tasks.base import TaskBatch, TaskDistribution

OTHER_SEEDS = 3  # drawn before tasks are said to be always the same
FEW_TASKS = 2


def check_tasks(learner: Any, tasks: Any, name: str = "tasks") -> Any:
    """Draws a few tasks and computes the loss of one. Returns the learner, which runs unequal tasks one by one.

    Args:
        learner: a MAML or one of the baselines.
        tasks: a task distribution.
        name: of the argument, for messages.

    Raises:
        UsageError: `tasks` are no distribution, cannot be compiled, depend on more than the seed, or do not fit the
            model or the loss.
    """
    if not isinstance(learner, Learner):
        raise UsageError(
            f"learner: {_what(learner)} is not allowed; expected a learner such as mt.MAML(model, loss, ...)"
        )
    if isinstance(tasks, type) or not isinstance(tasks, TaskDistribution):
        raise UsageError(
            f"{name}: {_what(tasks)} is not allowed; expected a mt.TaskDistribution. A Python function that "
            "draws one task becomes one by mt.tasks.NumPyTasks(function)"
        )
    batch = _draw(tasks, (0, 1), name)
    if tasks.in_graph:
        _check_compiled(tasks, batch, name)
    elif not _equal(batch, _draw(tasks, (0, 1), name)):
        warnings.warn(
            f"{name}: the same seed gives other tasks: not all random numbers come from `rng`, so the training cannot "
            "be repeated or resumed to the same numbers",
            stacklevel=3,
        )
    others = [_draw(tasks, (0, 2 + other), name) for other in range(OTHER_SEEDS)]
    if all(_equal(batch, other) for other in others):
        warnings.warn(
            f"{name}: every seed gives the same tasks, so there is one task batch in all: `sample` ignores its seed "
            "(see mt.random, or mt.tasks.NumPyTasks for tasks drawn with NumPy)",
            stacklevel=3,
        )
    if any(drawn.is_ragged for drawn in (batch, *others)):
        learner = _of_unequal_tasks(learner, name)
    _check_fit(learner, batch, name)
    return learner


def _of_unequal_tasks(learner: Learner, name: str) -> Learner:
    try:
        return learner.of_unequal_tasks()
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _what(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _draw(tasks: TaskDistribution, seed: tuple[int, int], name: str) -> TaskBatch:
    batch = tasks.sample(tf.constant(seed), FEW_TASKS)
    try:
        return as_tensors(task_batch(batch))
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _check_compiled(tasks: TaskDistribution, batch: TaskBatch, name: str) -> None:
    """Whether `sample` can be compiled, and depends on the seed alone when it is."""
    sample = tf.function(lambda seed: tasks.sample(seed, FEW_TASKS), autograph=False)
    try:
        sample = sample.get_concrete_function(tf.TensorSpec([2], tf.int32))
    except Exception as error:  # what a Python function raises on symbolic tensors can be nearly anything
        raise UsageError(
            f"{name}: `sample` cannot be compiled ({type(error).__name__}: {str(error).splitlines()[0]}). It must be "
            "made of TensorFlow operations; a function that draws one task with NumPy is used by "
            "mt.tasks.NumPyTasks(function)"
        ) from error
    seed = tf.constant((0, 1))
    if _equal(batch, as_tensors(tasks.sample(seed, FEW_TASKS))):
        return
    if _equal(sample(seed), sample(seed)):
        raise UsageError(
            f"{name}: `sample` draws random numbers that do not come from its seed, with NumPy or Python. In a "
            "compiled training they would be drawn once and stay the same for ever. Draw them from the seed "
            "(mt.random), or use mt.tasks.NumPyTasks(function), which draws every task outside of the compiled function"
        )
    warnings.warn(
        f"{name}: the same seed gives other tasks, so the training cannot be repeated or resumed to the same numbers: "
        "draw from the seed (mt.random or tf.random.stateless_uniform)",
        stacklevel=4,
    )


def _check_fit(learner: Learner, batch: TaskBatch, name: str) -> None:
    """Whether the model takes the inputs and the loss the labels."""
    params = learner.initial_params()
    adapts = isinstance(learner, AdaptsToTasks)
    for part, x, y in (("support", *batch[:2]), ("query", *batch[2:]))[: 2 if adapts else 1]:
        x, y = tf.nest.map_structure(lambda tensor: tensor[0], (x, y))
        try:
            predictions = learner.forward(params, x)
        except Exception as error:  # the user's model can raise anything
            shapes = tf.nest.map_structure(lambda tensor: tensor.shape.as_list(), x)
            raise UsageError(
                f"{name}: the model {learner.model.name} fails on {part}_x of a task, of shape {shapes}: "
                f"{type(error).__name__}: {error}"
            ) from error
        try:
            learner.loss(y, full_precision(predictions), task_axis=False)
        except UsageError as error:
            raise UsageError(f"{name}: {part}_y of a task: {error}") from error


def _equal(one: TaskBatch, other: TaskBatch) -> bool:
    pairs = zip(*(tf.nest.flatten(batch, expand_composites=True) for batch in (one, other)), strict=True)
    return all(_same(a, b) for a, b in pairs)


def _same(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return np.array_equal(one, other, equal_nan=np.issubdtype(one.dtype, np.inexact))
