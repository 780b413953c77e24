"""Labels are checked against predictions, so that a wrong shape is an error and not a silent broadcast.

Both may have leading axes for tasks; the checks compare the axes from the right.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError


def fit_values(labels: Any, predictions: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels that are values, one for each number that is predicted.

    Labels [n] for predictions [n, 1] get the axis that they lack, and labels [n, 1] for predictions [n] lose it. Every
    numeric type is cast to that of the predictions.

    Returns:
        (labels, predictions) of the same shape and type.

    Raises:
        UsageError: the shapes differ.
    """
    labels, predictions = numbers(labels, "labels"), numbers(predictions, "predictions")
    labels = tf.cast(labels, predictions.dtype)
    labels = _same_rank(labels, predictions)
    if not labels.shape.is_compatible_with(predictions.shape):
        raise UsageError(f"labels of shape {_shape(labels)} do not fit predictions of shape {_shape(predictions)}")
    return labels, predictions


def fit_classes(labels: Any, logits: Any, ignored: int | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels that are class numbers, 0 to N - 1.

    Labels [n, 1] lose their last axis. Whole numbers of every type are cast to integers. The range is checked where the
    values are known, which they are not inside a compiled function.

    Args:
        labels: [..., n] or [..., n, 1].
        logits: [..., n, N], also probabilities.
        ignored: a label that is allowed besides.

    Returns:
        (labels [..., n] of type int32 or int64, logits)

    Raises:
        UsageError: the shapes do not fit, a label is no whole number, or it is not below N.
    """
    labels, logits = numbers(labels, "labels"), numbers(logits, "predictions")
    if logits.shape.rank is not None and labels.shape.rank is not None:
        labels = _without_class_axis(labels, logits)
        if not labels.shape.is_compatible_with(logits.shape[:-1]):
            raise UsageError(
                f"labels of shape {_shape(labels)} do not fit predictions of shape {_shape(logits)}: one class number "
                "for each row is expected"
            )
    _check_class_numbers(labels, logits.shape[-1], ignored)
    if labels.dtype not in (tf.int32, tf.int64):
        labels = tf.cast(labels, tf.int64 if labels.dtype in (tf.uint32, tf.uint64) else tf.int32)
    return labels, logits


def fit_unknown(labels: Any, predictions: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels for a loss that says nothing about them: only what can be broadcast by mistake is changed, as Keras does.

    Returns:
        (labels, predictions): of the same rank where they differed by an axis of length 1; floating-point labels, and
        labels of the predictions' shape, in the type of the predictions.
    """
    labels, predictions = tf.convert_to_tensor(labels), tf.convert_to_tensor(predictions)
    if not predictions.dtype.is_floating:
        return labels, predictions
    labels = _same_rank(labels, predictions)
    same = labels.shape.rank == predictions.shape.rank and labels.shape.is_compatible_with(predictions.shape)
    if labels.dtype.is_floating or (same and (labels.dtype.is_integer or labels.dtype.is_bool)):
        labels = tf.cast(labels, predictions.dtype)
    return labels, predictions


def numbers(array: Any, name: str) -> tf.Tensor:
    """An array of real numbers as a tensor.

    Raises:
        UsageError: it holds something else.
    """
    try:
        tensor = tf.convert_to_tensor(array)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}: {type(array).__name__} is no array of numbers ({error})") from None
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
        raise UsageError(f"{name}: an array of {tensor.dtype.name} is not allowed; expected numbers")
    return tensor


def known_value(tensor: tf.Tensor) -> np.ndarray | None:
    """The value of a tensor outside of compiled functions, and None inside of them."""
    return tf.get_static_value(tensor)


def _same_rank(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    if labels.shape.rank is None or predictions.shape.rank is None:
        return labels
    if labels.shape.rank == predictions.shape.rank - 1 and predictions.shape[-1] == 1:
        return labels[..., tf.newaxis]
    if labels.shape.rank == predictions.shape.rank + 1 and labels.shape[-1] == 1:
        return tf.squeeze(labels, -1)
    return labels


def _without_class_axis(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    if logits.shape.rank < 1 or logits.shape[-1] == 1:
        raise UsageError(
            f"predictions of shape {_shape(logits)} hold one number a row; class numbers need one output for each class"
        )
    if labels.shape.rank == logits.shape.rank:
        if labels.shape[-1] == 1:
            return tf.squeeze(labels, -1)
        raise UsageError(
            f"labels of shape {_shape(labels)} for predictions of shape {_shape(logits)}: class numbers are expected, "
            "one a row. Of one-hot labels they are the argmax"
        )
    return labels


def _check_class_numbers(labels: tf.Tensor, N: int | None, ignored: int | None) -> None:
    values = known_value(labels)
    if values is None or values.size == 0:
        return
    if labels.dtype.is_floating:
        wrong = values[~(np.isfinite(values) & (values == np.round(values)))]
        if wrong.size:
            raise UsageError(f"labels: {wrong.flat[0]} is not allowed; expected the whole number of a class")
    values = values.astype(np.int64)
    outside = values[(values < 0) | (values >= (np.iinfo(np.int64).max if N is None else N))]
    if ignored is not None:
        outside = outside[outside != ignored]
    if outside.size:
        expected = "0 or more" if N is None else f"0 to {N - 1}, one of {N} classes"
        raise UsageError(f"labels: {outside.flat[0]} is not allowed; expected {expected}")


def _shape(tensor: tf.Tensor) -> list:
    return tensor.shape.as_list()
