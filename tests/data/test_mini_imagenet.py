"""mini-ImageNet: its sources give the same arrays, and an incomplete source is named."""

import mini_imagenet
import numpy as np
import pytest
from mini_imagenet import Contents
from mini_imagenet_folders import ready_jpegs
from mini_imagenet_packed import packed
from mini_imagenet_pickles import pickles
from small_mini_imagenet import CONTENTS, prepared, write_pickles

from maml_tf.errors import DataMissingError


@pytest.mark.parametrize("kind", ["jpegs", "packed", "pickles"])
def test_every_source_of_the_same_images_gives_the_same_arrays(
    kind, tmp_path, jpeg_folder, csv_folder, packed_folder, pixels, capsys
):
    source = {
        "jpegs": lambda: ready_jpegs(jpeg_folder, csv_folder),
        "packed": lambda: packed(packed_folder),
        "pickles": lambda: pickles(write_pickles(tmp_path / "pickles", pixels)),
    }[kind]()
    for split, image_set in prepared(source, tmp_path / "prepared").items():
        np.testing.assert_array_equal(image_set.images, pixels[split])
        assert list(image_set.class_names) == CONTENTS.classes[split]
        assert image_set.source["origin"].startswith(source.kind + ", SHA-256 ")
    assert "train, 3 of 3 classes" in capsys.readouterr().out


def test_the_complete_data_set_is_the_split_of_ravi_and_larochelle():
    classes = mini_imagenet.COMPLETE.classes
    assert {split: len(set(ids)) for split, ids in classes.items()} == {"train": 64, "validation": 16, "test": 20}
    assert len(set().union(*classes.values())) == 100
    assert all(ids == sorted(ids) for ids in classes.values())
    assert mini_imagenet.COMPLETE.images_per_class == 600


def test_missing_and_superfluous_classes_and_images_are_named_before_anything_is_written(tmp_path):
    def source(counts):
        return mini_imagenet.Source("here", "kind", [], {"train": counts}, None)

    complete = dict.fromkeys(("a", "b"), 3)
    contents = Contents({"train": ["a", "b"]}, 3)
    mini_imagenet.check(source(complete), contents)
    for counts, message in (
        ({"a": 3}, "here: train lacks 1 classes: b"),
        (complete | {"c": 3}, "here: train should not have 1 classes: c"),
        (complete | {"b": 2}, "here: train class b has 2 images; 3 are expected"),
    ):
        with pytest.raises(DataMissingError, match=message):
            mini_imagenet.write(source(counts), tmp_path / "prepared", contents)
    assert not (tmp_path / "prepared").exists()
