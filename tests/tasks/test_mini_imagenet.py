"""mini-ImageNet as the experiments open it; two images a class stand for the 600."""

import numpy as np
import pytest

from maml_tf.errors import DataMissingError
from maml_tf.tasks import mini_imagenet
from maml_tf.tasks.image_set import write_image_set
from maml_tf.tasks.mini_imagenet import CLASSES, NAMES, load_mini_imagenet


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    monkeypatch.setattr(mini_imagenet, "IMAGES_PER_CLASS", 2)

    def write(split, origin="a test", images_per_class=2):
        names = [f"{split}{i:02d}" for i in range(CLASSES[split])]
        images = np.full((len(names), images_per_class, 84, 84, 3), len(names), np.uint8)
        write_image_set(tmp_path, NAMES[split], images, names, origin)

    for split in CLASSES:
        write(split)
    return write


def test_the_three_splits_are_memory_mapped_and_theirs(prepare, tmp_path):
    splits = load_mini_imagenet(tmp_path, verify=True)
    assert {split: len(image_set.class_names) for split, image_set in splits.items()} == {
        "train": 64,
        "validation": 16,
        "test": 20,
    }
    for split, image_set in splits.items():
        assert isinstance(image_set.images, np.memmap)
        assert image_set.images[-1, -1, -1, -1, -1] == CLASSES[split]


def test_a_missing_incomplete_or_foreign_split_is_named(prepare, tmp_path):
    prepare("validation", images_per_class=1)
    expected = r"mini_imagenet_validation has shape \[16, 1, 84, 84, 3\]; \[16, 2, 84, 84, 3\] is expected"
    with pytest.raises(DataMissingError, match=expected):
        load_mini_imagenet(tmp_path)
    prepare("validation", origin="elsewhere")
    with pytest.raises(DataMissingError, match=r"different sources \(a test; elsewhere\)"):
        load_mini_imagenet(tmp_path)
    (tmp_path / "mini_imagenet_test.npy").unlink()
    with pytest.raises(DataMissingError, match=r"mini_imagenet_test.npy is missing: `make data`"):
        load_mini_imagenet(tmp_path)
