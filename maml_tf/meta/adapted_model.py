"""A model that was adapted to one task."""

import copy
import inspect
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from maml_tf._io import atomic_saved_model
from maml_tf.errors import UsageError
from maml_tf.meta.arguments import theta, whole_number
from maml_tf.meta.learner import Learner
from maml_tf.meta.model_function import ModelFunction
from maml_tf.meta.portable import write_litert, write_onnx
from maml_tf.meta.saved_model import write_saved_model
from maml_tf.meta.structures import as_tensors, full_precision, leading_size, rows
from maml_tf.meta.task_loss import TaskLoss


class AdaptedModel:
    """A model together with the weights that were adapted to one task.

    Attributes:
        model: the Keras model; its own weights stay unchanged.
        params: list of adapted weights, in the order of `model.trainable_variables`.
        state: list of the model's state after the adaptation (see `ModelFunction`).
        loss: what `evaluate` computes by default; None where none was given.
    """

    def __init__(
        self,
        function: ModelFunction,
        params: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        support_x: Any,
        loss: Any = None,
    ):
        self.model = function.model
        self.params, self.state, self.loss = list(params), list(state), loss
        self._function, self._support_x = function, support_x

    def __call__(self, x: Any) -> Any:
        """The adapted model's output on x [n, ...], a tensor or a structure of them."""
        return self._function(self.params, self.state, as_tensors(x)).outputs

    def predict(self, x: Any, batch_size: int = 32) -> Any:
        """The output on x [n, ...] as a NumPy array, computed in batches as `keras.Model.predict` does.

        A model whose batch norm uses the statistics of the batch normalises every batch by itself. Call the adapted
        model on the whole query set instead to get the paper's (transductive) predictions.
        """
        x = as_tensors(x)
        parts = [self(rows(x, start, start + batch_size)) for start in range(0, leading_size(x), batch_size)]
        return tf.nest.map_structure(lambda *leaves: np.concatenate(leaves), *parts)

    def evaluate(self, x: Any, y: Any, metric: Any = None) -> float:
        """The score on the labelled examples x, y [n, ...], such as the query set of the task.

        Args:
            x, y: the examples, all in one batch.
            metric: (labels, predictions) -> a value, such as `maml_tf.losses.accuracy`, or its name (see `TaskLoss`);
                the learner's loss by default.

        Raises:
            UsageError: there is no metric, or x and y do not fit it.
        """
        if metric is None and self.loss is None:
            raise UsageError("metric: None is not allowed, since the adapted model has no loss; expected a metric")
        score = TaskLoss(self.loss if metric is None else metric, "metric")
        return float(score(as_tensors(y), full_precision(self(x)), task_axis=False))

    def save(self, path: str | os.PathLike) -> None:
        """Saves the adapted model as a `.keras` file, for `keras.models.load_model`."""
        self.keras_model().save(path)

    def export(self, path: str | os.PathLike, format: str = "tf_saved_model") -> None:
        """Exports the adapted model, for a program without this library.

        Args:
            path: of the folder or the file.
            format: "tf_saved_model": a TensorFlow SavedModel of `keras_model()`, for
                `tf.saved_model.load(path).serve(x)`. "onnx": an ONNX file with the input `x` and the output
                `predictions`, which are those of the adapted model itself.

        Raises:
            UsageError: the format is not known, a package is not installed, or the model cannot be converted.
        """
        if format == "onnx":
            write_onnx(lambda *parts: self._function(*parts).outputs, self.params, self.state, self._support_x, path)
            return
        if format != "tf_saved_model":
            raise UsageError(f"format: {format!r} is not allowed; expected 'tf_saved_model' or 'onnx'")
        with atomic_saved_model(path) as folder:
            self.keras_model().export(folder, format="tf_saved_model", verbose=False)

    def keras_model(self) -> keras.Model:
        """A new Keras model with the adapted weights, to be saved (`.save("adapted.keras")`) or trained further.

        Keras' BatchNormalization uses running statistics in predictions. Where the learner used the statistics of the
        batch (`batch_norm="batch"`), the new model has those of the support set. Its predictions then differ from those
        of the adapted model, and a warning says so.

        Raises:
            UsageError: the model's class does not say how it is made again.
        """
        model = _copied(self.model, self._support_x)
        statistics = self._function.statistics_of(self.params, self._support_x)
        if statistics:
            warnings.warn(
                "BatchNormalization normalised by the statistics of each batch; the Keras model predicts with the "
                "running statistics of the support set, so its predictions differ",
                stacklevel=2,
            )
        values = [
            *zip(self.model.trainable_variables, self.params, strict=True),
            *zip(self._function.state_variables, self.state, strict=True),
            *statistics,
        ]
        places = {id(variable): place for place, variable in enumerate(self.model.variables)}
        for variable, value in values:
            model.variables[places[id(variable)]].assign(value)
        return model


def _copied(model: keras.Model, x: Any) -> Any:
    """A new model with the same layers and weights; x is the input that it is built with, if it is not yet."""
    kind = type(model).__name__
    wanted = (
        f"keras_model: {kind} cannot be made again from its configuration. Give the class a method get_config that "
        "returns the arguments of __init__ by name, and from_config where they are no plain values"
    )
    try:
        takes_nothing = len(inspect.signature(type(model).__init__).parameters) == 1  # but self
        copied = type(model)() if takes_nothing else type(model).from_config(model.get_config())
        if not copied.built:
            copied(x)
        copied.set_weights(model.get_weights())
    except Exception as error:  # the user's class can raise anything
        raise UsageError(f"{wanted} ({type(error).__name__}: {str(error).strip().splitlines()[0]})") from error
    return copied


def _support(x: Any, y: Any) -> Any:
    """A support set as tensors; UsageError: it has no example."""
    support = as_tensors((x, y))
    if any(part is not None and part.shape.rank and part.shape[0] == 0 for part in tf.nest.flatten(support[0])):
        raise UsageError("x: there are no examples; expected at least one")
    return support


class AdaptsToTasks(Learner):
    """A learner that adapts its model to one task at a time.

    Attributes:
        step_size: alpha, of the inner loop.
        num_steps: number of inner steps in meta-training.
    """

    step_size: Any
    num_steps: int

    def of_unequal_tasks(self) -> Self:
        """See `Learner.of_unequal_tasks`."""
        learner = copy.copy(self)
        learner.task_execution = self.task_execution.of_unequal_tasks()
        return learner

    def inner_steps(
        self, params: Sequence[tf.Tensor], support: Any, num_steps=None, step_size=None, training: bool = False
    ) -> Iterator[list[tf.Tensor]]:
        """Yields theta after 0, 1, ... inner steps on a support set.

        Args:
            params: theta.
            support: (x, y), tensors or structures of them.
            num_steps, step_size: as in training by default.
            training: Keras' argument: whether Dropout and the like are on.
        """
        raise NotImplementedError

    def adapted_params(
        self, params: Sequence[tf.Tensor], support_x: Any, support_y: Any, num_steps=None, step_size=None
    ) -> list[list[tf.Tensor]]:
        """theta after 0, 1, ... inner steps on a support set, as `inner_steps` yields it."""
        return list(self.inner_steps(params, (support_x, support_y), num_steps, step_size))

    def adapt(
        self,
        x: Any,
        y: Any,
        num_steps: int | None = None,
        params: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tuple[int, int] = (0, 0),
    ) -> AdaptedModel:
        """Adapts to one new task: `learner.adapt(x, y)(x_new)`. It needs the memory of a few copies of the weights.

        Args:
            x, y: the support set of the task, [N*K, ...] each: arrays, tensors, or structures of them.
            num_steps: number of gradient steps; as in training by default.
            params: theta to start from; the model's own weights by default.
            training: whether Dropout and the like are on in the gradient steps. They are off in the predictions.
            seed: stateless seed of what they draw then.

        Raises:
            UsageError: an argument is not allowed or does not fit the model, or there is no example.
            FloatingPointError: an adapted weight is not finite.
        """
        support = _support(x, y)
        params = self._after_steps(theta(params, self), support, num_steps, training, seed)
        for name, param in zip(self.param_names, params, strict=False) if tf.executing_eagerly() else ():
            if param.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(param)):
                raise FloatingPointError(
                    f"adapt: {name} is not finite after the gradient steps. Try a smaller step size, and check x and y "
                    "for values that are not finite"
                )
        weights, _, state = self.parts(params)
        state = state[: len(self.function.state_variables)]
        return AdaptedModel(self.function, weights, state, support[0], self.loss)

    def _after_steps(self, params, support, num_steps, training=False, seed=(0, 0)) -> list[tf.Tensor]:
        """theta after all inner steps, with the states of the model's seed generators at its end."""
        params = self.seeded(params, seed)
        for after_step in self.inner_steps(params, support, num_steps, training=training):
            params = after_step  # the earlier ones are freed
        return params

    def export(
        self,
        path: str | os.PathLike,
        x: Any,
        y: Any,
        num_steps: int | None = None,
        params: Sequence[tf.Tensor] | None = None,
    ) -> None:
        """Exports the adaptation as a TensorFlow SavedModel, which runs without this library.

            learner.export("fewshot", x, y)
            served = tf.saved_model.load("fewshot")
            served.adapt_and_predict(x, y, x_new)  # the predictions for x_new
            weights = served.adapt(x, y)           # by name
            served.predict(weights, x_new)         # the same predictions

        Args:
            path: the folder.
            x, y: a support set [N*K, ...]. Those to come have its types and shapes; x_new has any number of rows.
            num_steps, params: see `adapt`; theta is saved in the folder.
        """
        support = _support(x, y)

        def after_steps(params, support):
            return self._after_steps(params, support, num_steps)

        write_saved_model(self, after_steps, theta(params, self), support[0], support[1], path)

    def export_litert(
        self,
        path: str | os.PathLike,
        x: Any,
        y: Any,
        queries: int,
        num_steps: int | None = None,
        params: Sequence[tf.Tensor] | None = None,
    ) -> None:
        """Exports the adaptation as a LiteRT model of built-in operations only, for phones and other small devices.

            learner.export_litert("fewshot.tflite", x, y, queries=5)
            runner = Interpreter("fewshot.tflite").get_signature_runner()
            runner(support_x=x, support_y=y, query_x=x_new)["predictions"]

        Args:
            path: of the file.
            x, y: a support set [N*K, ...] of float32 inputs. Those to come have its shapes. Whole numbers are int32.
            queries: number of rows of query_x, fixed too.
            num_steps, params: see `adapt`; theta is saved in the file.

        Raises:
            UsageError: an argument is not allowed, or LiteRT lacks an operation of the adaptation.
        """
        support = _support(x, y)

        def after_steps(params, support):
            return self._after_steps(params, support, num_steps)

        write_litert(self, after_steps, theta(params, self), support, whole_number("queries", queries), path)
