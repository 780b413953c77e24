"""Task losses (paper equations 2 and 3, in the scale of the authors' code).

Every loss takes labels and predictions with an optional leading task axis and returns one value for each task. Labels
that do not fit the predictions are an error. `TaskLoss` makes such a loss of Keras' losses and of your own.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from maml_tf.meta.labels import fit_classes, fit_values

FITS = {"values": fit_values, "classes": fit_classes}


def _loss(kind: str) -> Callable[[Callable[..., tf.Tensor]], Callable[..., tf.Tensor]]:
    """A decorator: labels and predictions are checked as `kind` says, and `label_kind` tells `TaskLoss` so."""

    def decorate(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        @functools.wraps(function)
        def checked(labels: Any, predictions: Any) -> tf.Tensor:
            return function(*FITS[kind](labels, predictions))

        setattr(checked, "label_kind", kind)  # noqa: B010 - functions have no such attribute for a type checker
        return checked

    return decorate


@_loss("values")
def mean_squared_error(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Equation 2, as a mean over points and outputs.

    Args:
        labels, predictions: [..., n, outputs] each.

    Returns:
        [...]

    Raises:
        UsageError: the shapes differ.
    """
    return tf.reduce_mean(tf.square(predictions - labels), axis=(-2, -1))


def cross_entropy_over_shots(shots: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Equation 3 for N classes: the sum of the cross-entropies of all images, divided by K.

    This is the scale of the authors' code (PROTOCOL 1.3). On a support set of N*K images it is N times the mean, so
    their alpha of 0.4 is a step of 2.0 on the mean loss in 5-way tasks. On a query set of N*Q images it is N*Q/K times
    the mean.

    Args:
        shots: K, the number of support images of each class, for the query set too.

    Returns:
        A loss: (labels int [..., n], logits [..., n, N]) -> [...].
    """

    @_loss("classes")
    def loss(labels, logits):
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=-1) / shots

    return loss


@_loss("classes")
def mean_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The mean cross-entropy over images, as in supervised training.

    Args:
        labels: [..., n], class numbers from 0 to N - 1.
        logits: [..., n, N].

    Returns:
        [...]

    Raises:
        UsageError: the shapes do not fit, or a label is no class number.
    """
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=-1)


@_loss("classes")
def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The fraction of images that are classified correctly.

    Args:
        labels: [..., n], class numbers from 0 to N - 1.
        logits: [..., n, N].

    Returns:
        [...], float32 in 0..1.

    Raises:
        UsageError: the shapes do not fit, or a label is no class number.
    """
    right = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
    return tf.reduce_mean(tf.cast(right, tf.float32), axis=-1)


BY_NAME = {loss.__name__: loss for loss in (mean_squared_error, mean_cross_entropy, accuracy)}
