"""Episodes: no image in both sets, labels permuted, rotations per class and task."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import smoke_spec

from maml_tf.errors import UsageError
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.meta.maml import MAML
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.image_set import ImageSet

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


def rows(batch):
    """Each task's (class and number of the image, label) pairs, sorted: what does not depend on the order."""
    found = []
    for x, y in ((batch.support_x, batch.support_y), (batch.query_x, batch.query_y)):
        classes, numbers = read(x)
        found.append(np.sort(classes * 10000 + numbers * 100 + y.numpy(), axis=1))
    return found


def test_shuffled_tasks_are_the_same_tasks_in_random_order(images):
    plain = Episodes(images, 5, 2, 3, shuffle=False).sample(tf.constant([1, 2]), 200)
    shuffled = Episodes(images, 5, 2, 3).sample(tf.constant([1, 2]), 200)
    np.testing.assert_array_equal(plain.support_y, np.tile(np.repeat(np.arange(5), 2), (200, 1)))
    for one, other in zip(rows(plain), rows(shuffled), strict=True):
        np.testing.assert_array_equal(one, other)
    labels = shuffled.support_y.numpy()
    counts = np.array([np.bincount(labels[:, place], minlength=5) for place in range(10)])
    assert np.abs(counts - 40).max() < 5 * np.sqrt(40)  # every label is in every place equally often
    assert not np.array_equal(np.argsort(labels), np.argsort(shuffled.query_y.numpy()[:, :10]))


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    "model",
    [
        lambda: OmniglotConv((8, 8, 1), 3, filters=4),
        lambda: MiniImagenetConv((16, 16, 1), 3, filters=4),
        lambda: MLP(64, (8,), 3, batch_norm=True),
        lambda: MLP(64, (8,), 3),
    ],
    ids=["OmniglotConv", "MiniImagenetConv", "MLP with batch norm", "MLP"],
)
def test_the_projects_networks_give_the_same_sums_in_any_order(model):
    keras.utils.set_random_seed(0)
    model = model()
    side = 16 if isinstance(model, MiniImagenetConv) else 8
    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, side, side, 1), dtype=np.uint8)
    learner = MAML(model, cross_entropy_over_shots(2), 0.1, 1)
    results = []
    for shuffle in (False, True):
        batch = Episodes(pixels, 3, 2, 3, shuffle=shuffle).sample((1, 2), 2)
        if isinstance(model, MLP):
            x = [tf.reshape(part, [2, -1, 64]) for part in (batch.support_x, batch.query_x)]
            batch = batch._replace(support_x=x[0], query_x=x[1])
        results.append(learner.meta_gradient(learner.initial_params(), batch))
    (loss, gradients), (other_loss, other_gradients) = results
    assert float(loss) == pytest.approx(float(other_loss), rel=1e-5)
    scale = max(float(tf.reduce_max(tf.abs(g))) for g in gradients)
    for one, other in zip(gradients, other_gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * scale)


def test_the_papers_specs_keep_the_order_of_the_classes():
    for name in ("omniglot_5way_1shot_conv", "miniimagenet_5way_1shot_maml"):
        assert smoke_spec(name).tasks.shuffle is False


FLOATS = np.random.default_rng(0).random((3, 4, 5, 5, 1))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (FLOATS, FLOATS),
        (FLOATS.astype(np.float16), FLOATS.astype(np.float16)),
        (2 * FLOATS - 1, 2 * FLOATS - 1),
        (np.round(255 * FLOATS).astype(np.uint8), np.round(255 * FLOATS) / 255),
        (np.round(255 * FLOATS).astype(np.int64), np.round(255 * FLOATS) / 255),
        (FLOATS[..., 0], FLOATS),
        (FLOATS > 0.5, FLOATS > 0.5),
        (tf.constant(FLOATS), FLOATS),
        (list(FLOATS), FLOATS),
        (dict(zip("abc", FLOATS[..., 0], strict=True)), FLOATS),
        (ImageSet(np.round(255 * FLOATS).astype(np.uint8), ("a", "b", "c"), {}), np.round(255 * FLOATS) / 255),
    ],
    ids=["float64", "float16", "-1..1", "uint8", "int64", "grey", "bool", "tensor", "list", "dict", "ImageSet"],
)
def test_images_reach_the_task_with_their_values(given, expected):
    batch = Episodes(given, 3, 2, 2, shuffle=False).sample((1, 2), 1)
    assert batch.support_x.shape == (1, 6, 5, 5, 1)
    assert batch.support_x.dtype == tf.float32
    known = expected.reshape(12, -1).astype(np.float32)
    for image in batch.support_x[0].numpy().reshape(6, -1):
        assert np.abs(known - image).max(axis=1).min() < 1e-6


def test_images_of_0_to_255_in_floats_are_warned_of():
    with pytest.warns(UserWarning, match="these go up to 2.*; divide them by 255"):
        Episodes(255 * FLOATS, 3, 2, 2)


@pytest.mark.parametrize("shuffle", [False, True])
def test_classes_of_unequal_size_are_drawn_from_all_their_images(shuffle):
    sizes = (4, 7, 5)
    classes = [np.full((size, 2, 2, 1), 0, np.uint8) for size in sizes]
    for number, array in enumerate(classes):
        array[:, 0, 0, 0], array[:, 1, 1, 0] = number + 1, np.arange(len(array)) + 1
    episodes = Episodes(classes, 2, 1, 3, shuffle=shuffle)
    batch = tf.function(lambda seed: episodes.sample(seed, 300), jit_compile=True)((1, 2))
    x = np.rint(255 * np.concatenate([batch.support_x, batch.query_x], axis=1)).astype(int)
    y = np.concatenate([batch.support_y, batch.query_y], axis=1)
    seen = x[..., 0, 0, 0] * 100 + x[..., 1, 1, 0]
    assert all(len(set(task)) == 8 for task in seen)  # no image twice
    assert set(seen.ravel()) == {(c + 1) * 100 + m + 1 for c, size in enumerate(sizes) for m in range(size)}
    for task in range(300):
        pairs = {(c, label) for c, label in zip(x[task, :, 0, 0, 0], y[task], strict=True)}
        assert len(pairs) == 2  # one label for each class
    assert episodes.examples is None


@pytest.mark.parametrize(
    ("given", "sizes", "message"),
    [
        (FLOATS, (0, 1, 1), "ways: 0 is not allowed; expected a whole number from 2"),
        (FLOATS, (2, 0, 1), "shots: 0 is not allowed"),
        (FLOATS, (2, 1, 0), "queries: 0 is not allowed"),
        (FLOATS, (2, 1.0, 1), "shots: 1.0 is not allowed"),
        (FLOATS[0], (2, 1, 1), r"an array of shape \[4, 5, 5, 1\] is not allowed; expected \[classes, images, height"),
        (np.zeros((10, 84, 84, 3), np.uint8), (2, 1, 1), r"an array of shape \[10, 84, 84, 3\] is not allowed"),
        (FLOATS[:0], (2, 1, 1), r"an array of shape \[0, 4, 5, 5, 1\] is not allowed"),
        ("images", (2, 1, 1), "images: a str is not allowed; expected an array"),
        ([], (2, 1, 1), "images: there are no classes"),
        ([FLOATS[0], FLOATS[1, :, :4]], (2, 1, 1), r"class number 1: its images are float32 \[4, 5, 1\], those of the"),
        ({"cat": FLOATS[0], "dog": np.zeros(3)}, (2, 1, 1), r"class 'dog': images: an array of shape \[3\]"),
        ({"cat": FLOATS[0], "dog": FLOATS[1, :1]}, (2, 1, 1), r"2 classes of 1 to 4 images; class 'dog' has 1"),
        (FLOATS * np.nan, (2, 1, 1), "images: some numbers are nan or infinite"),
        (
            (65535 * FLOATS).astype(np.uint16),
            (2, 1, 1),
            "images: uint16 numbers from .* are not allowed; expected whole",
        ),
        (FLOATS.astype(complex), (2, 1, 1), "images: an array of complex128 is not allowed"),
    ],
)
def test_what_tasks_cannot_be_drawn_from_is_named(given, sizes, message):
    with pytest.raises(UsageError, match=message):
        Episodes(given, *sizes)
