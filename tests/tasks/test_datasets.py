"""Data sets by name: each spec section opens its images, and errors say what is allowed."""

import numpy as np
import pytest

from maml_tf.errors import DataMissingError, UsageError
from maml_tf.tasks import mini_imagenet, omniglot
from maml_tf.tasks.datasets import DATASETS
from maml_tf.tasks.image_set import write_image_set

TASKS = {"ways": 5, "shots": 1, "train_queries": 1, "test_queries": 1}


def section(dataset, **keys):
    return DATASETS[dataset](dataset=dataset, **TASKS | keys)


def test_omniglot_is_divided_by_the_seed_of_the_split(tmp_path, monkeypatch):
    monkeypatch.setattr(omniglot, "SIDE", 2)
    names = [f"character{i:04d}" for i in range(omniglot.CHARACTERS)]
    images = np.zeros((len(names), omniglot.DRAWINGS, 2, 2, 1), np.uint8)
    write_image_set(tmp_path, omniglot.NAME, images, names, "a test")
    splits = {seed: section("omniglot", split_seed=seed).load(tmp_path) for seed in (1, 2)}
    expected = omniglot.split_omniglot(omniglot.load_omniglot(tmp_path), 1)
    for name, image_set in expected.items():
        assert splits[1][name].class_names == image_set.class_names
    assert splits[2]["test"].class_names != splits[1]["test"].class_names


def test_mini_imagenet_has_its_official_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(mini_imagenet, "IMAGES_PER_CLASS", 2)
    for split, classes in mini_imagenet.CLASSES.items():
        names = [f"{split}{i:02d}" for i in range(classes)]
        images = np.full((classes, 2, 84, 84, 3), classes, np.uint8)
        write_image_set(tmp_path, mini_imagenet.NAMES[split], images, names, "a test")
    splits = section("mini_imagenet").load(tmp_path)
    assert {split: int(image_set.images.max()) for split, image_set in splits.items()} == mini_imagenet.CLASSES


@pytest.mark.parametrize(("dataset", "keys"), [("omniglot", {"split_seed": 1}), ("mini_imagenet", {})])
def test_missing_data_is_named(dataset, keys, tmp_path):
    with pytest.raises(DataMissingError, match="is missing: `make data` prepares it"):
        section(dataset, **keys).load(tmp_path)


@pytest.mark.parametrize("key", TASKS)
def test_numbers_below_one_are_refused(key):
    least = 2 if key == "ways" else 1
    with pytest.raises(UsageError, match=f"{key}: 0 is not allowed; expected a whole number from {least}"):
        section("mini_imagenet", **{key: 0})


def test_an_unknown_data_set_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"data set 'cifar' is not known; allowed are omniglot, mini_imagenet"):
        DATASETS["cifar"]
