"""Task losses (paper equations 2 and 3, in the scale of the authors' code).

Every loss takes labels and predictions with an optional leading task axis and returns one value a task.
"""

from collections.abc import Callable

import tensorflow as tf


def mean_squared_error(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Equation 2 as a mean: [..., n, outputs] twice -> [...]. A true mean, so that alpha needs no conversion."""
    return tf.reduce_mean(tf.square(predictions - labels), axis=(-2, -1))


def cross_entropy_over_shots(shots: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Equation 3 for N classes: the sum of the cross-entropies of all images divided by K.

    On a support set of N*K images this is N times the mean: the authors' alpha of 0.4 is a step of 2.0 on the mean loss
    (5-way). On Q query images a class it is N*Q/K times the mean (PROTOCOL 1.3).

    Args:
        shots: K, the support images per class (also for the query set).

    Returns:
        A loss: labels int [..., n] and logits [..., n, N] -> [...].
    """

    def loss(labels, logits):
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=-1) / shots

    return loss


def mean_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The mean over images, as supervised training has it: labels int [..., n], logits [..., n, N] -> [...]."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=-1)


def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The share of rightly classified images: labels int [..., n], logits [..., n, N] -> [...] in 0..1."""
    right = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
    return tf.reduce_mean(tf.cast(right, tf.float32), axis=-1)
