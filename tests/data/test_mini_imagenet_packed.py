"""mini-ImageNet from packed shards: a missing, damaged or inconsistent shard is named."""

import numpy as np
import pytest
from mini_imagenet_packed import packed
from small_mini_imagenet import CONTENTS, prepared, write_shard

from maml_tf.errors import DataMissingError


def test_missing_and_damaged_shards_are_named(tmp_path, packed_folder, jpegs):
    path = packed_folder / "miniimagenet_test.npz"
    content = path.read_bytes()
    for wrong in (content[: len(content) // 2], b"<!doctype HTML>"):
        path.write_bytes(wrong)
        with pytest.raises(DataMissingError, match=rf"miniimagenet_test.npz \({len(wrong)} bytes\) is "):
            packed(packed_folder)
    path.unlink()
    with pytest.raises(DataMissingError, match=r"miniimagenet_test.npz is missing"):
        packed(packed_folder)
    write_shard(path, CONTENTS.classes["test"], jpegs | {"n0000000600000003.jpg": jpegs["n0000000600000003.jpg"][:-99]})
    with pytest.raises(DataMissingError, match=r"miniimagenet_test.npz: n0000000600000003.jpg .* not a readable image"):
        prepared(packed(packed_folder), tmp_path / "prepared")
    write_shard(packed_folder / "miniimagenet_train_1.npz", CONTENTS.classes["train"][:1], jpegs)
    with pytest.raises(
        DataMissingError, match=r"train_1.npz: class n00000001 is in this or another shard of train twice"
    ):
        packed(packed_folder)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("class_index", lambda old: old + 2),
        ("class_index", lambda old: old - 1),
        ("class_index", lambda old: old.astype(float)),
        ("class_wnid", lambda old: np.array([b"\xff\xfe", b"b"])),
        ("filename", lambda old: old[:-1]),
        ("offset", lambda old: old[:-1]),
        ("offset", lambda old: old[::-1]),
        ("offset", lambda old: old + 1),
        ("offset", lambda old: np.int64(3)),
        ("body", lambda old: old[:-1]),
    ],
)
def test_shards_whose_arrays_do_not_fit_together_are_named(packed_folder, key, change):
    path = packed_folder / "miniimagenet_val.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **arrays | {key: change(arrays[key])})
    with pytest.raises(DataMissingError, match=r"miniimagenet_val.npz .* do not fit together"):
        packed(packed_folder)
