"""Fine-tuning and nearest neighbour: against NumPy, and on tasks with a known answer."""

import keras
import numpy as np
import tensorflow as tf

from maml_tf.baselines.supervised import (
    LabelledImages,
    SupervisedTraining,
    fine_tuning_accuracies,
    nearest_neighbour_accuracies,
    population_statistics,
)
from maml_tf.meta.losses import mean_cross_entropy
from maml_tf.models.conv import MiniImagenetConv


def test_the_nearest_support_image_gives_the_label():
    random = np.random.default_rng(2)
    support, query = random.normal(size=(6, 3)).astype(np.float32), random.normal(size=(9, 3)).astype(np.float32)
    support_y, query_y = np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([0, 1, 2] * 3, np.int32)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (support, query)]
    by_cosine = support_y[(unit[1] @ unit[0].T).argmax(axis=1)]
    by_distance = support_y[((query[:, None] - support[None]) ** 2).sum(-1).argmin(axis=1)]
    expected = [(by_cosine == query_y).mean(), (by_distance == query_y).mean()]
    found = nearest_neighbour_accuracies(tf.identity, *map(tf.constant, (support, support_y, query, query_y)))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert expected[0] != expected[1]


def test_labelled_images_carry_the_label_of_their_class():
    images = np.zeros((7, 5, 4, 4, 1), np.uint8) + np.arange(7, dtype=np.uint8)[:, None, None, None, None]
    batch = LabelledImages(images).sample(tf.constant([1, 2]), 50)
    assert batch.support_x.shape == (1, 50, 4, 4, 1)
    np.testing.assert_allclose(255 * batch.support_x[0, :, 0, 0, 0], batch.support_y[0], atol=1e-4)
    assert set(batch.support_y[0].numpy()) == set(range(7))


def test_classes_of_unequal_size_are_drawn_equally_often():
    counts = [1, 2, 17]
    images = [np.stack([np.full((2, 2, 1), 20 * c + m, np.uint8) for m in range(n)]) for c, n in enumerate(counts)]
    batch = LabelledImages(images).sample(tf.constant([1, 2]), 600)
    labels, values = batch.support_y[0].numpy(), np.round(255 * batch.support_x[0, :, 0, 0, 0]).astype(int)
    np.testing.assert_array_equal(values // 20, labels)
    assert set(values) == {20 * c + m for c, n in enumerate(counts) for m in range(n)}  # every image of every class
    assert np.bincount(labels).min() > 150  # of 200


def test_pretraining_learns_and_fine_tuning_tells_new_classes_apart(eagerly):
    """Classes are colours: after some steps on four of them, three new ones are told apart from one image each."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0]]
    colours = 200 * np.reshape(corners, (7, 1, 1, 1, 3)) + 25
    images = np.clip(colours + random.normal(0, 20, (7, 12, 16, 16, 3)), 0, 255).astype(np.uint8)
    model, new_model = (MiniImagenetConv((16, 16, 3), ways, filters=16) for ways in (4, 3))
    learner = SupervisedTraining(model, mean_cross_entropy)
    params = [tf.convert_to_tensor(variable) for variable in model.trainable_variables]
    batch = LabelledImages(images[:4]).sample(tf.constant([0, 0]), 48)
    losses = []
    for _ in range(8):
        loss, gradients = learner.meta_gradient(params, batch)
        losses.append(float(loss))
        params = [p - 0.5 * g for p, g in zip(params, gradients, strict=True)]
    assert losses[-1] < 0.3 * losses[0]
    statistics = population_statistics(model, params, [batch.support_x[0]])
    new = images[4:].astype(np.float32) / 255
    support, query = new[:, 0], new[:, 1:].reshape(-1, 16, 16, 3)
    task = (support, np.arange(3, dtype=np.int32), query, np.repeat(np.arange(3, dtype=np.int32), 11))
    accuracies = fine_tuning_accuracies(
        new_model, statistics, mean_cross_entropy, params[:-2], tuple(map(tf.constant, task)), 0.05, 0.9, 10
    )
    assert abs(float(accuracies[0]) - 1 / 3) < 1e-6  # an output layer of zeros
    assert accuracies[-1] > 0.9
