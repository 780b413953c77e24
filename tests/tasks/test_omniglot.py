"""Omniglot: an incomplete set is refused; the split."""

import numpy as np
import pytest

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import ImageSet, write_image_set
from maml_tf.tasks.omniglot import load_omniglot, split_omniglot


def test_an_incomplete_omniglot_is_refused(tmp_path):
    write_image_set(tmp_path, "omniglot", np.zeros((3, 2, 4, 4, 1), np.uint8), ("a", "b", "c"), "a test")
    with pytest.raises(DataMissingError, match=r"shape \[3, 2, 4, 4, 1\]; \[1623, 20, 28, 28, 1\] is expected"):
        load_omniglot(tmp_path)


def test_the_splits_are_disjoint_complete_and_follow_the_seed():
    names = tuple(f"character{i:04d}" for i in range(1623))
    image_set = ImageSet(np.zeros((1623, 1, 1, 1, 1), np.uint8), names, {})
    splits = split_omniglot(image_set, 1)
    assert {name: len(part.class_names) for name, part in splits.items()} == {
        "train": 1100,
        "validation": 100,
        "test": 423,
    }
    assert sorted(n for part in splits.values() for n in part.class_names) == sorted(names)
    assert splits["test"].class_names == split_omniglot(image_set, 1)["test"].class_names
    assert splits["test"].class_names != split_omniglot(image_set, 2)["test"].class_names
