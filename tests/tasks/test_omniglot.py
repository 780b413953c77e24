"""Prepared image sets and the Omniglot split."""

import numpy as np
import pytest

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import ImageSet, read_image_set, write_image_set
from maml_tf.tasks.omniglot import load_omniglot, split_omniglot

IMAGES = np.arange(3 * 2 * 4 * 4, dtype=np.uint8).reshape(3, 2, 4, 4, 1)


def test_what_is_written_is_read(tmp_path):
    written = write_image_set(tmp_path, "small", IMAGES, ("a", "b", "c"), "a test")
    read = read_image_set(tmp_path, "small", verify=True)
    np.testing.assert_array_equal(read.images, IMAGES)
    assert read.class_names == written.class_names == ("a", "b", "c")
    assert read.source["origin"] == "a test"
    assert isinstance(read.images, np.memmap)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.json", "small.npy"]


def test_missing_and_damaged_sets_are_named(tmp_path):
    with pytest.raises(DataMissingError, match=r"small.json is missing: `make data`"):
        read_image_set(tmp_path, "small")
    write_image_set(tmp_path, "small", IMAGES, ("a", "b", "c"), "a test")
    array = tmp_path / "small.npy"
    content = array.read_bytes()
    array.write_bytes(content[:-1] + b"\x00")
    read_image_set(tmp_path, "small")
    with pytest.raises(DataMissingError, match=r"small.npy does not have the checksum"):
        read_image_set(tmp_path, "small", verify=True)
    array.write_bytes(content[:100])
    with pytest.raises(DataMissingError, match=r"small.npy or its manifest is damaged"):
        read_image_set(tmp_path, "small")
    np.save(array, IMAGES[:2])
    with pytest.raises(DataMissingError, match=r"holds uint8 \[2, 2, 4, 4, 1\], its manifest says uint8 \[3"):
        read_image_set(tmp_path, "small")


def test_an_incomplete_omniglot_is_refused(tmp_path):
    write_image_set(tmp_path, "omniglot", IMAGES, ("a", "b", "c"), "a test")
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
