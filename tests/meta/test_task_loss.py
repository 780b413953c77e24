"""Losses of every origin as one value for each task."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.evaluation.evaluate import evaluate
from maml_tf.meta.losses import accuracy, mean_cross_entropy, mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.meta.task_loss import TaskLoss
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch, TaskDistribution

RNG = np.random.default_rng(0)
LABELS, OUTPUTS = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 4, 3))
SQUARED = ((LABELS - OUTPUTS) ** 2).mean(axis=(1, 2))
ABSOLUTE = np.abs(LABELS - OUTPUTS).mean(axis=(1, 2))
CLASSES = np.array([[0, 1, 2, 0], [2, 2, 1, 1]])
CROSS_ENTROPIES = mean_cross_entropy(CLASSES, OUTPUTS).numpy()
SPARSE = keras.losses.SparseCategoricalCrossentropy


def own(labels, predictions):
    return tf.reduce_mean(tf.square(labels - predictions))


class OwnKerasLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)


REGRESSION = {
    "ours": (mean_squared_error, SQUARED),
    "our name": ("mean_squared_error", SQUARED),
    "Keras' name": ("mse", SQUARED),
    "another name": ("mean_absolute_error", ABSOLUTE),
    "a Keras function": (keras.losses.mean_squared_error, SQUARED),
    "a Keras object": (keras.losses.MeanSquaredError(), SQUARED),
    "a Keras class": (keras.losses.MeanSquaredError, SQUARED),
    "the name of a class": ("MeanSquaredError", SQUARED),
    "reduction sum": (keras.losses.MeanSquaredError(reduction="sum"), 4 * SQUARED),
    "reduction none": (keras.losses.MeanSquaredError(reduction=None), SQUARED),
    "a Keras metric's function": (keras.metrics.mean_absolute_error, ABSOLUTE),
    "own, of one task": (own, SQUARED),
    "own, for each example": (lambda y, p: tf.reduce_sum(tf.square(y - p), -1) / 3, SQUARED),
    "own, for each number": (lambda y, p: tf.square(y - p), SQUARED),
    "own, with a task axis": (lambda y, p: tf.reduce_mean(tf.square(y - p), axis=(-2, -1)), SQUARED),
    "own Keras object": (OwnKerasLoss(), SQUARED),
    "own Keras object, sum": (OwnKerasLoss(reduction="sum"), 4 * SQUARED),
}
CLASSIFICATION = {
    "ours": (mean_cross_entropy, CROSS_ENTROPIES),
    "a Keras object": (SPARSE(from_logits=True), CROSS_ENTROPIES),
    "reduction sum": (SPARSE(from_logits=True, reduction="sum"), 4 * CROSS_ENTROPIES),
    "own": (
        lambda y, z: keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True),
        CROSS_ENTROPIES,
    ),
    "accuracy by name": ("accuracy", accuracy(CLASSES, OUTPUTS).numpy()),
    "a Keras metric": ("sparse_categorical_accuracy", accuracy(CLASSES, OUTPUTS).numpy()),
}


def check(loss, labels, outputs, expected):
    with_axis = TaskLoss(loss)(labels, outputs, task_axis=True)
    np.testing.assert_allclose(with_axis, expected, rtol=1e-5)
    for task in range(2):
        value = TaskLoss(loss)(labels[task], outputs[task], task_axis=False)
        assert value.shape == ()
        assert float(value) == pytest.approx(expected[task], rel=1e-5)


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_losses_of_values_give_one_value_a_task(name, dtype):
    loss, expected = REGRESSION[name]
    check(loss, LABELS, OUTPUTS.astype(dtype), expected)


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("labels", [CLASSES, CLASSES[..., np.newaxis], CLASSES.astype(np.uint8)], ids=["", "1", "u"])
def test_losses_of_classes_give_one_value_a_task(name, labels):
    loss, expected = CLASSIFICATION[name]
    check(loss, labels, OUTPUTS.astype(np.float32), expected)


def test_a_loss_over_the_whole_batch_is_taken_task_by_task():
    """Keras' Dice reduces every axis, so a task axis would be lost."""
    labels, outputs = np.abs(LABELS), np.abs(OUTPUTS)
    expected = [float(keras.losses.Dice()(labels[task], outputs[task])) for task in range(2)]
    check(keras.losses.Dice(), labels, outputs, expected)


@pytest.mark.parametrize("loss", [mean_squared_error, own, "mse", keras.losses.MeanSquaredError()], ids=str)
def test_targets_without_the_last_axis_are_not_broadcast(loss):
    labels, outputs = np.array([1.0, 2.0, 3.0]), np.array([[1.0], [3.0], [5.0]])
    assert float(TaskLoss(loss)(labels, outputs)) == pytest.approx(5 / 3)


@pytest.mark.parametrize(("shape", "classes"), [((4,), False), ((4, 2, 2, 3), False), ((4, 2, 2, 3), True)])
def test_outputs_of_any_rank_are_averaged_over_the_task(shape, classes):
    outputs = RNG.normal(size=(2, *shape))
    if classes:
        labels = RNG.integers(0, 3, (2, *shape[:-1]))
        expected = mean_cross_entropy(labels.reshape(2, -1), outputs.reshape(2, -1, 3))
        check(mean_cross_entropy, labels, outputs, expected.numpy())
    else:
        labels = RNG.normal(size=(2, *shape))
        check(mean_squared_error, labels, outputs, ((labels - outputs) ** 2).reshape(2, -1).mean(axis=1))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (None, "loss: None is not allowed; expected a function of"),
        ("mean_sqared_error", "loss: 'mean_sqared_error' is not known; allowed are mean_squared_error, "),
        (3, "loss: 3 is not allowed"),
        (keras.metrics.SparseCategoricalAccuracy(), "SparseCategoricalAccuracy is a Keras metric with a state"),
        ({}, r"loss: \{\} is not allowed"),
    ],
)
def test_what_is_no_loss_is_refused(loss, message):
    with pytest.raises(UsageError, match=message):
        TaskLoss(loss)


@pytest.mark.parametrize(
    ("loss", "labels", "message"),
    [
        ("mse", np.zeros((3, 3)), r"loss mean_squared_error: labels of shape \[3, 3\] do not fit predictions of"),
        (own, np.zeros((3, 3)), r"loss own: there are \[3\] labels for \[4\] predictions"),
        (lambda y, p: tf.reduce_sum(p, axis=0), np.zeros((4, 3)), r"<lambda> returns shape \[3\] for a task of \[4\]"),
        (lambda y, p: tf.matmul(y, p), np.zeros((4, 3)), r"fails on labels \[4, 3\] \(float32\) and predictions \[4"),
        (SPARSE(), np.full(4, 7), "SparseCategoricalCrossentropy: labels: 7 is not allowed; expected 0 to 2"),
    ],
)
def test_what_does_not_fit_is_an_error_of_the_loss(loss, labels, message):
    with pytest.raises(UsageError, match=message):
        TaskLoss(loss)(labels, OUTPUTS[0].astype(np.float32))


def test_logits_for_a_loss_of_probabilities_are_warned_of():
    with pytest.warns(UserWarning, match="sparse_categorical_crossentropy expects probabilities"):
        TaskLoss("sparse_categorical_crossentropy")(CLASSES[0], OUTPUTS[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TaskLoss("sparse_categorical_crossentropy")(CLASSES[0], tf.nn.softmax(OUTPUTS[0]))
        TaskLoss(SPARSE(from_logits=True))(CLASSES[0], OUTPUTS[0])


def test_a_structure_of_outputs_has_a_structure_of_losses_or_one_for_all():
    labels, outputs = {"a": LABELS, "b": CLASSES}, {"a": OUTPUTS, "b": OUTPUTS}
    loss = TaskLoss({"a": "mse", "b": SPARSE(from_logits=True)})
    np.testing.assert_allclose(loss(labels, outputs, task_axis=True), SQUARED + CROSS_ENTROPIES, rtol=1e-5)
    pair = TaskLoss(mean_squared_error)((LABELS, LABELS), [OUTPUTS, 0 * OUTPUTS], task_axis=True)
    np.testing.assert_allclose(pair, SQUARED + (LABELS**2).mean(axis=(1, 2)), rtol=1e-5)
    both = TaskLoss(lambda y, p: own(y["a"], p["a"]) + tf.reduce_mean(p["b"]))
    np.testing.assert_allclose(both(labels, outputs, task_axis=True), SQUARED + OUTPUTS.mean(axis=(1, 2)), rtol=1e-5)
    with pytest.raises(UsageError, match=r"labels: the structure \.\.\. does not fit the model's outputs"):
        TaskLoss("mse")(LABELS, outputs)


class Lines(TaskDistribution):
    """y = a x, with labels [n] for a model with outputs [n, 1]."""

    def sample(self, seed, num_tasks):
        a = tf.random.stateless_uniform([num_tasks, 1, 1], seed, 1.0, 2.0)
        x = tf.tile(tf.reshape(tf.linspace(-1.0, 1.0, 4), [1, 4, 1]), [num_tasks, 1, 1])
        y = tf.squeeze(a * x, -1)
        return TaskBatch(x, y, x, y)


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanSquaredError(reduction=None), own], ids=str)
@pytest.mark.parametrize("vectorized", [True, False])
def test_every_loss_gives_the_meta_gradient_and_the_scores_of_ours(loss, vectorized, eagerly):
    keras.utils.set_random_seed(0)
    model, batch = MLP(1, (3,), 1), Lines().sample((1, 2), 2)
    found, expected = (MAML(model, one, 0.1, 2, vectorized=vectorized) for one in (loss, mean_squared_error))
    theta = [p + 0.1 for p in expected.initial_params()]
    losses, gradients = zip(*(learner.meta_gradient(theta, batch) for learner in (found, expected)), strict=True)
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    for one, reference in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, reference, rtol=1e-4, atol=1e-6)
    scores = [evaluate(one, Lines(), params=theta, num_tasks=2).scores for one in (found, expected)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)


def test_adapting_to_targets_without_the_last_axis_fits_them():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    x = np.linspace(-1, 1, 5)[:, np.newaxis]
    adapted = MAML(model, "mse", 0.5, 50).adapt(x, 2 * x[:, 0] + 1)
    np.testing.assert_allclose(adapted(x), 2 * x + 1, atol=1e-3)
