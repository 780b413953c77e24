"""Any loss or metric as one value for each task: this library's, Keras' by name, function or object, or your own."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.labels import fit_unknown, known_value
from maml_tf.meta.losses import BY_NAME, FITS


class TaskLoss:
    """A loss that is called with the labels and predictions of one task, or of T tasks along a leading axis.

    * A loss of `maml_tf.losses` is called as it is.
    * A Keras loss or metric function is averaged over the task. So is a Keras loss object, unless its `reduction` is
      "sum": then the values of each task are summed.
    * A function of your own returns one value for the labels and predictions of one task, or one for each example,
      which are averaged.

    Where a model has several outputs, `loss` may be a structure of losses, one for each; their sum is the loss. One
    loss of this library or of Keras is applied to every output. A function of your own receives the structures of all
    labels and all predictions.

    Args:
        loss: a function of (labels, predictions), a `keras.losses.Loss`, the name of a loss, or a structure of these.
        argument: the name of the argument, for error messages.

    Raises:
        UsageError: `loss` is none of these.
    """

    def __init__(self, loss: Any, argument: str = "loss"):
        self.argument = argument
        if isinstance(loss, TaskLoss):
            self.losses = loss.losses
        else:
            self.losses = tf.nest.map_structure(lambda one: _resolve(one, argument), loss)
        if not tf.nest.flatten(self.losses):
            raise UsageError(f"{argument}: {loss!r} is not allowed; expected a loss")

    def __call__(self, labels: Any, predictions: Any, *, task_axis: bool | None = None) -> tf.Tensor:
        """The loss of each task.

        Args:
            labels: [n, ...] of one task, or [T, n, ...]; a structure where the predictions are one.
            predictions: of the model.
            task_axis: whether there is a leading axis of T tasks. By default the losses of this library take every
                leading axis for one, and there is none for the others.

        Returns:
            [], or [T] with a task axis.

        Raises:
            UsageError: labels and predictions do not fit together, or the loss does not give such values.
        """
        if isinstance(self.losses, OneLoss):
            if not tf.nest.is_nested(predictions) or self.losses.kind is None:
                return self.losses(labels, predictions, task_axis)
            losses = tf.nest.map_structure(lambda _: self.losses, predictions)
        else:
            losses = self.losses
        self._check_structures(losses, labels, predictions)
        flat = zip(*(tf.nest.flatten(part) for part in (losses, labels, predictions)), strict=True)
        return tf.add_n([loss(y, output, task_axis) for loss, y, output in flat])

    def _check_structures(self, losses: Any, labels: Any, predictions: Any) -> None:
        for name, structure in ((self.argument, losses), ("labels", labels)):
            try:
                tf.nest.assert_same_structure(predictions, structure, check_types=False)
            except (ValueError, TypeError):
                shown = tf.nest.map_structure(lambda _: "...", structure)
                outputs = tf.nest.map_structure(lambda output: list(output.shape), predictions)
                raise UsageError(f"{name}: the structure {shown} does not fit the model's outputs {outputs}") from None


class OneLoss:
    """The loss of one output.

    Attributes:
        function: (labels, predictions) -> values.
        kind: what the labels are, "values" or "classes"; None for a function of the user's.
        takes_task_axis: whether `function` returns one value for each task.
        reduction: how other values of a task are reduced.
        argument: the name of the argument, for error messages.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        kind: str | None,
        argument: str,
        *,
        takes_task_axis: bool = False,
        reduction: Callable[[tf.Tensor], tf.Tensor] = tf.reduce_mean,
        ignored: int | None = None,
        from_logits: bool | None = None,
    ):
        self.function, self.kind, self.argument = function, kind, argument
        self.takes_task_axis, self.reduction = takes_task_axis, reduction
        self.ignored, self.from_logits = ignored, from_logits

    def __call__(self, labels: Any, predictions: Any, task_axis: bool | None) -> tf.Tensor:
        """See `TaskLoss.__call__`."""
        if self.takes_task_axis and task_axis is None:
            return self.function(labels, predictions)
        task_axis = bool(task_axis)
        if not tf.nest.is_nested(predictions):
            labels, predictions = self._fitted(labels, predictions, int(task_axis))
        if self.takes_task_axis:
            return self.function(*_as_rows(labels, predictions, self.kind, int(task_axis)))
        if not task_axis:
            return self._of_task(labels, predictions)
        T = tf.nest.flatten(predictions)[0].shape[0]
        one = [tf.nest.map_structure(lambda x, task=task: x[task], (labels, predictions)) for task in range(T)]
        return tf.stack([self._of_task(*task) for task in one])

    def _fitted(self, labels: Any, predictions: Any, axis: int) -> tuple[Any, tf.Tensor]:
        if tf.nest.is_nested(labels):  # a function of the user's with more than one kind of label
            return labels, predictions
        try:
            if self.kind == "classes":
                labels, predictions = FITS["classes"](labels, predictions, self.ignored)
            elif self.kind == "values":
                labels, predictions = FITS["values"](labels, predictions)
            else:
                labels, predictions = fit_unknown(labels, predictions)
        except UsageError as error:
            raise UsageError(f"{self.argument} {self.name}: {error}") from None
        known = None not in (labels.shape.rank, predictions.shape.rank)
        if known and not labels.shape[: axis + 1].is_compatible_with(predictions.shape[: axis + 1]):
            raise UsageError(
                f"{self.argument} {self.name}: there are {labels.shape[axis : axis + 1].as_list()} labels for "
                f"{predictions.shape[axis : axis + 1].as_list()} predictions"
            )
        if self.from_logits is False:
            self._warn_of_logits(predictions)
        return labels, predictions

    def _of_task(self, labels: Any, predictions: Any) -> tf.Tensor:
        """The loss [] of one task."""
        try:
            value = tf.convert_to_tensor(self.function(labels, predictions))
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            shapes = [tf.nest.map_structure(_described, part) for part in (labels, predictions)]
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{self.argument} {self.name} fails on labels {shapes[0]} and predictions {shapes[1]}: {reason}"
            ) from error
        if not value.dtype.is_floating:
            value = tf.cast(value, tf.float32)
        n = tf.nest.flatten(predictions)[0].shape[:1]
        if value.shape.rank and not value.shape[:1].is_compatible_with(n):
            raise UsageError(
                f"{self.argument} {self.name} returns shape {value.shape.as_list()} for a task of {n.as_list()} "
                "examples; expected one value, or one for each example"
            )
        return value if value.shape.rank == 0 else self.reduction(value)

    @property
    def name(self) -> str:
        """Of the function, for messages."""
        function = getattr(self.function, "__self__", self.function)
        return getattr(function, "__name__", type(function).__name__)

    def _warn_of_logits(self, predictions: tf.Tensor) -> None:
        values = known_value(predictions)
        if values is not None and values.size and not (values.min() >= 0 and values.max() <= 1):
            warnings.warn(
                f"{self.argument} {self.name} expects probabilities, and the predictions are not within 0 and 1: "
                "give the model's last layer a softmax or sigmoid, or pass the loss object with from_logits=True",
                stacklevel=2,
            )


def _resolve(loss: Any, argument: str) -> OneLoss:
    """The loss that an argument says."""
    if isinstance(loss, str):
        loss = _by_name(loss, argument)
    if inspect.isclass(loss) and issubclass(loss, keras.losses.Loss):
        loss = loss()
    if isinstance(loss, keras.Metric):
        raise UsageError(
            f"{argument}: {type(loss).__name__} is a Keras metric with a state of its own; pass a function, such as "
            "keras.metrics.sparse_categorical_accuracy, or its name"
        )
    if isinstance(loss, keras.losses.Loss):
        return _of_keras_object(loss, argument)
    if not callable(loss) or inspect.isclass(loss):
        raise UsageError(
            f"{argument}: {loss!r} is not allowed; expected a function of (labels, predictions), a Keras loss, or the "
            "name of one"
        )
    kind = getattr(loss, "label_kind", None)
    if kind is not None:
        return OneLoss(loss, kind, argument, takes_task_axis=True)
    if _is_of_keras(loss):
        return OneLoss(loss, _kind_of_keras(loss), argument, from_logits=_from_logits(loss))
    return OneLoss(loss, None, argument)


def _by_name(name: str, argument: str) -> Any:
    found: Any = BY_NAME.get(name) or getattr(keras.metrics, name, None)
    if inspect.isfunction(found):
        return found
    try:
        found = keras.losses.get(name)
    except ValueError:
        found = None
    if found is None:
        raise UsageError(
            f"{argument}: {name!r} is not known; allowed are {', '.join(BY_NAME)} and the names of Keras' losses and "
            "metric functions"
        )
    return found


def _of_keras_object(loss: keras.losses.Loss, argument: str) -> OneLoss:
    """`call` gives a value for each example; it neither casts nor reduces as the object's `__call__` does."""
    function: Any = getattr(loss, "fn", None)  # of Keras' own, and of functions that Keras wraps
    options = getattr(loss, "_fn_kwargs", {})
    of_keras = _is_of_keras(function)
    return OneLoss(
        loss.call,
        _kind_of_keras(function) if of_keras else None,
        argument,
        reduction=tf.reduce_sum if loss.reduction == "sum" else tf.reduce_mean,
        ignored=options.get("ignore_class"),
        from_logits=options.get("from_logits") if of_keras else None,
    )


def _is_of_keras(function: Any) -> bool:
    return getattr(function, "__module__", "").startswith(("keras.src.losses", "keras.src.metrics"))


def _kind_of_keras(function: Callable[..., Any]) -> str:
    return "classes" if getattr(function, "__name__", "").startswith("sparse_") else "values"


def _from_logits(function: Callable[..., Any]) -> bool | None:
    parameter = inspect.signature(function).parameters.get("from_logits")
    return None if parameter is None else parameter.default


def _as_rows(labels: tf.Tensor, predictions: tf.Tensor, kind: str | None, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Predictions of each task as a matrix, [n, outputs] or [rows, N]."""
    rank = (predictions.shape.rank or axis + 2) - axis
    if rank == 2:
        return labels, predictions
    tasks = predictions.shape[:axis].as_list()
    if kind == "values":
        shape = [*tasks, tf.shape(predictions)[axis], 1 if rank == 1 else -1]
        return tf.reshape(labels, shape), tf.reshape(predictions, shape)
    return tf.reshape(labels, [*tasks, -1]), tf.reshape(predictions, [*tasks, -1, predictions.shape[-1]])


def _described(tensor: Any) -> str:
    tensor = tf.convert_to_tensor(tensor)
    return f"{tensor.shape.as_list()} ({tensor.dtype.name})"
