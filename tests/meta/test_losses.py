"""Loss scales (PROTOCOL 1.3)."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.losses import accuracy, cross_entropy_over_shots, mean_squared_error


@pytest.mark.parametrize(
    ("ways", "shots", "images_per_class", "multiple"),
    [(5, 1, 1, 5), (5, 5, 5, 5), (20, 1, 1, 20), (20, 5, 5, 20), (5, 1, 15, 75), (5, 5, 15, 15)],
)
def test_cross_entropy_is_this_multiple_of_the_mean(ways, shots, images_per_class, multiple):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(ways * images_per_class, ways))
    labels = np.repeat(np.arange(ways), images_per_class)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    mean = -log_probabilities[np.arange(len(labels)), labels].mean()
    assert cross_entropy_over_shots(shots)(labels, logits).numpy() == pytest.approx(multiple * mean)


def test_losses_and_accuracy_give_one_value_a_task():
    labels = tf.constant([[0, 1], [1, 1]])
    logits = tf.constant([[[2.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]]])
    np.testing.assert_allclose(accuracy(labels, logits), [1.0, 0.5])
    assert cross_entropy_over_shots(1)(labels, logits).shape == (2,)
    values = mean_squared_error(tf.zeros([3, 4, 1]), tf.reshape(tf.range(12.0), [3, 4, 1]))
    np.testing.assert_allclose(values, (np.arange(12.0).reshape(3, 4) ** 2).mean(axis=1))
