"""Episodes: no image in both sets, labels permuted, rotations per class and task."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.tasks.episodes import Episodes

CLASSES, IMAGES, SIDE = 12, 8, 6


@pytest.fixture(scope="module")
def images():
    """Images that say what they are: pixel 0 holds the class, pixel 1 the number of the image; not symmetric."""
    array = np.zeros((CLASSES, IMAGES, SIDE, SIDE, 1), np.uint8)
    array[..., 0, 0, 0] = np.arange(1, CLASSES + 1)[:, None]
    array[..., 0, 1, 0] = np.arange(1, IMAGES + 1)[None]
    return array


def read(batch_x):
    """Class and number of every image [T, n, side, side, 1]."""
    pixels = np.rint(np.asarray(batch_x) * 255).astype(int)
    return pixels[..., 0, 0, 0], pixels[..., 0, 1, 0]


def test_tasks_have_their_shapes_and_no_image_in_both_sets(images):
    batch = Episodes(images, ways=5, shots=2, queries=3).sample(tf.constant([1, 2]), 40)
    assert batch.support_x.shape == (40, 10, SIDE, SIDE, 1)
    assert batch.query_x.shape == (40, 15, SIDE, SIDE, 1)
    assert 0.0 <= batch.support_x.numpy().min() <= batch.support_x.numpy().max() <= 1.0
    for (sc, sn), (qc, qn) in zip(
        zip(*read(batch.support_x), strict=True), zip(*read(batch.query_x), strict=True), strict=True
    ):
        support, query = set(zip(sc, sn, strict=True)), set(zip(qc, qn, strict=True))
        assert len(support) == 10
        assert len(query) == 15
        assert not support & query


def test_a_label_names_one_class_in_a_task_and_another_in_the_next(images):
    batch = Episodes(images, ways=5, shots=2, queries=3).sample(tf.constant([1, 2]), 200)
    labels_of_class_1 = set()
    for task in range(200):
        classes = np.concatenate([read(x[task])[0] for x in (batch.support_x, batch.query_x)])
        labels = np.concatenate([batch.support_y[task], batch.query_y[task]])
        pairs = set(zip(classes, labels, strict=True))
        assert len(pairs) == len({c for c, _ in pairs}) == len({label for _, label in pairs}) == 5
        labels_of_class_1 |= {label for c, label in pairs if c == 1}
    assert labels_of_class_1 == {0, 1, 2, 3, 4}


def test_every_class_and_image_is_drawn_about_equally_often(images):
    batch = Episodes(images, ways=5, shots=2, queries=3).sample(tf.constant([3, 4]), 2000)
    classes, numbers = read(batch.support_x)
    expected = classes.size / CLASSES
    counts = np.bincount(classes.ravel(), minlength=CLASSES + 1)[1:]
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected) * np.sqrt(2)  # drawn in pairs
    counts = np.bincount(numbers.ravel(), minlength=IMAGES + 1)[1:]
    assert np.abs(counts - classes.size / IMAGES).max() < 5 * np.sqrt(classes.size / IMAGES)


def test_rotations_are_one_per_class_and_task_and_all_four_occur(images):
    plain = Episodes(images, 5, 2, 3).sample(tf.constant([1, 2]), 60)
    rotated = Episodes(images, 5, 2, 3, rotations=True).sample(tf.constant([1, 2]), 60)
    seen = set()
    for task in range(60):
        turns_of_class = {}
        for before, after in ((plain.support_x, rotated.support_x), (plain.query_x, rotated.query_x)):
            for image, turned in zip(before[task].numpy(), after[task].numpy(), strict=True):
                turns = [k for k in range(4) if np.array_equal(np.rot90(image, k), turned)]
                assert len(turns) == 1
                turns_of_class.setdefault(int(np.rint(image[0, 0, 0] * 255)), set()).add(turns[0])
        assert all(len(turns) == 1 for turns in turns_of_class.values())
        seen |= set.union(*turns_of_class.values())
    assert seen == {0, 1, 2, 3}


def test_same_seed_same_tasks_with_and_without_xla(images):
    episodes = Episodes(images, 5, 1, 1, rotations=True)
    compiled = tf.function(lambda seed: episodes.sample(seed, 4), jit_compile=True)(tf.constant([5, 6]))
    for a, b in zip(compiled, episodes.sample(tf.constant([5, 6]), 4), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_impossible_tasks_are_refused(images):
    with pytest.raises(ValueError, match="13 ways of 1 \\+ 1 images cannot be drawn from 12 classes of 8"):
        Episodes(images, 13, 1, 1)
    with pytest.raises(ValueError, match="5 ways of 5 \\+ 4 images"):
        Episodes(images, 5, 5, 4)
    with pytest.raises(ValueError, match="rotations need square images"):
        Episodes(images[..., :3, :], 5, 1, 1, rotations=True)
