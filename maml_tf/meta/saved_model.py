"""A learner's adaptation as a TensorFlow SavedModel, which any program with TensorFlow runs without this library."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf._io import atomic_saved_model
from maml_tf.meta.functional import weight_names
from maml_tf.meta.learner import Learner
from maml_tf.meta.structures import as_tensors
from maml_tf.ops.shapes import sizes

#: the most tasks that a program adapts at the same time where they run one by one
TASKS_AT_ONCE = 16
#: a learner's weights and state by name
Weights = dict[str, tf.Tensor]
#: (theta, (x, y)) -> theta after the inner steps
AfterSteps = Callable[[Sequence[tf.Tensor], Any], list[tf.Tensor]]


class _Theta(keras.layers.Layer):
    """theta as variables, which Keras' archive saves."""

    def __init__(self, params: Sequence[tf.Tensor]):
        super().__init__(trainable=False)
        self.values = [keras.Variable(value, trainable=False, dtype=value.dtype.name) for value in params]
        self.built = True


def write_saved_model(
    learner: Learner,
    after_steps: AfterSteps,
    params: Sequence[tf.Tensor],
    support_x: Any,
    support_y: Any,
    path: str | os.PathLike,
) -> None:
    """Writes a folder with the endpoints `adapt_and_predict`, `adapt`, `predict`, and the first two for several tasks.

    Args:
        learner: whose model predicts.
        after_steps: adapts theta to a support set.
        params: theta to start from; it is saved in the folder.
        support_x, support_y: a support set, for the types and shapes of those to come.
        path: the folder.
    """
    theta = _Theta(params)
    archive: Any = keras.export.ExportArchive()  # of the TensorFlow backend
    archive.track(theta)
    for name, endpoint, signature in _endpoints(learner, after_steps, theta, as_tensors((support_x, support_y))):
        archive.add_endpoint(name, endpoint, signature)
    with atomic_saved_model(path) as folder:
        # Nobody differentiates the endpoints, and a program that loads them would warn of every custom gradient.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        archive.write_out(folder, options, verbose=False)


def _endpoints(
    learner: Learner, after_steps: AfterSteps, theta: _Theta, support: Any
) -> list[tuple[str, Callable[..., Any], list[Any]]]:
    """The endpoints: their names, functions and signatures."""
    functions = learner.function
    names = [*weight_names(learner.model), *weight_names(learner.model, functions.state_variables)]

    def saved() -> list[tf.Tensor]:
        return [variable.value for variable in theta.values]

    def by_name(params: Sequence[tf.Tensor]) -> Weights:
        weights, _, state = learner.parts(params)
        return dict(zip(names, [*weights, *state[: len(functions.state_variables)]], strict=True))

    @tf.function(autograph=False)
    def adapt(support_x, support_y) -> Weights:
        return by_name(after_steps(saved(), (support_x, support_y)))

    def predict(weights: Weights, x):
        values, split = [weights[name] for name in names], len(learner.model.trainable_variables)
        return functions(values[:split], values[split:], x).outputs

    @tf.function(autograph=False)
    def adapt_and_predict(support_x, support_y, query_x):
        return predict(adapt(support_x, support_y), query_x)

    def adapt_tasks(support_x, support_y) -> Weights:
        if not _takes_task_axis(learner):
            return _in_a_loop(adapt, support_x, support_y)
        T = sizes(tf.nest.flatten(support_x)[0])[0]
        return by_name(
            after_steps([tf.broadcast_to(value, [T, *value.shape]) for value in saved()], (support_x, support_y))
        )

    def adapt_and_predict_tasks(support_x, support_y, query_x):
        if not _takes_task_axis(learner):
            return _in_a_loop(adapt_and_predict, support_x, support_y, query_x)
        return predict(adapt_tasks(support_x, support_y), query_x)

    def spec(leaf: tf.Tensor, rows: int | None) -> tf.TensorSpec:
        return tf.TensorSpec([rows, *leaf.shape[1:]], leaf.dtype)

    support_specs = list(tf.nest.map_structure(lambda leaf: spec(leaf, leaf.shape[0]), support))
    query = tf.nest.map_structure(lambda leaf: spec(leaf, None), support[0])
    tasks = [
        tf.nest.map_structure(lambda leaf: tf.TensorSpec([None, *leaf.shape], leaf.dtype), part)
        for part in (*support_specs, query)
    ]
    weight_specs = {name: tf.TensorSpec(value.shape, value.dtype, name) for name, value in by_name(saved()).items()}
    return [
        ("adapt_and_predict", adapt_and_predict, [*support_specs, query]),
        ("adapt", adapt, support_specs),
        ("predict", predict, [weight_specs, query]),
        ("adapt_and_predict_tasks", adapt_and_predict_tasks, tasks),
        ("adapt_tasks", adapt_tasks, tasks[:-1]),
    ]


def _takes_task_axis(learner: Learner) -> bool:
    """Whether tasks are adapted as one, with a task axis in front of everything, in place of one by one."""
    losses = tf.nest.flatten(learner.loss.losses)
    return learner.task_execution.vectorized and all(loss.takes_task_axis for loss in losses)


def _in_a_loop(function: Any, *tasks: Any) -> Any:
    """The results of a function for each task, stacked; several tasks run at the same time on several cores."""
    of_one = [tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), part) for part in tasks]
    outputs = function.get_concrete_function(*of_one).structured_outputs
    signature = tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype), outputs)
    return tf.map_fn(
        lambda task: function(*task), tuple(tasks), fn_output_signature=signature, parallel_iterations=TASKS_AT_ONCE
    )
