"""Prepared image sets: they are read as written, and errors name what is wrong."""

import hashlib
import os

import numpy as np
import pytest

from maml_tf.errors import DataMissingError
from maml_tf.tasks import image_set
from maml_tf.tasks.image_set import file_sha256, read_image_set, write_image_set

IMAGES = np.arange(3 * 2 * 4 * 4, dtype=np.uint8).reshape(3, 2, 4, 4, 1)


def write(folder, images=IMAGES):
    return write_image_set(folder, "small", images, ("a", "b", "c"), "a test")


def test_what_is_written_is_read(tmp_path):
    written = write(tmp_path)
    read = read_image_set(tmp_path, "small", verify=True)
    np.testing.assert_array_equal(read.images, IMAGES)
    assert read.class_names == written.class_names == ("a", "b", "c")
    assert read.source == {"name": "small", "origin": "a test", "sha256": file_sha256(tmp_path / "small.npy")}
    assert isinstance(read.images, np.memmap)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".small.checksum.json", "small.json", "small.npy"]


def test_select_takes_classes_in_the_order_asked_for(tmp_path):
    selected = write(tmp_path).select([2, 0])
    np.testing.assert_array_equal(selected.images, IMAGES[[2, 0]])
    assert selected.class_names == ("c", "a")


def test_missing_and_damaged_sets_are_named(tmp_path):
    with pytest.raises(DataMissingError, match=r"small.json is missing: `make data`"):
        read_image_set(tmp_path, "small")
    write(tmp_path)
    array = tmp_path / "small.npy"
    content = array.read_bytes()
    array.write_bytes(content[:-1] + b"\x00")
    for verify in (False, True):
        with pytest.raises(DataMissingError, match=r"small.npy does not have the checksum"):
            read_image_set(tmp_path, "small", verify=verify)
    array.write_bytes(content[:100])
    with pytest.raises(DataMissingError, match=r"small.npy or its manifest is damaged"):
        read_image_set(tmp_path, "small")
    np.save(array, IMAGES[:2])
    with pytest.raises(DataMissingError, match=r"holds uint8 \[2, 2, 4, 4, 1\], its manifest says uint8 \[3"):
        read_image_set(tmp_path, "small")
    array.unlink()
    with pytest.raises(DataMissingError, match=r"small.npy is missing: `make data`"):
        read_image_set(tmp_path, "small")


def test_a_set_can_be_written_class_by_class(tmp_path):
    whole = write(tmp_path).source["sha256"]
    streamed = write(tmp_path, iter(IMAGES))
    np.testing.assert_array_equal(streamed.images, IMAGES)
    assert streamed.source["sha256"] == whole
    np.save(tmp_path / "saved.npy", IMAGES)
    assert file_sha256(tmp_path / "saved.npy") == whole


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    write(tmp_path)

    def unreadable():
        yield IMAGES[1]
        raise DataMissingError("the second class is unreadable")

    with pytest.raises(DataMissingError, match="second class"):
        write(tmp_path, unreadable())
    np.testing.assert_array_equal(read_image_set(tmp_path, "small", verify=True).images, IMAGES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".small.checksum.json", "small.json", "small.npy"]


def test_a_new_array_is_never_used_with_the_old_manifest(tmp_path, monkeypatch):
    write(tmp_path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(image_set, "file_sha256", interrupted)  # the array is written, its manifest is not
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, IMAGES + 1)
    with pytest.raises(DataMissingError, match=r"small.json is missing"):
        read_image_set(tmp_path, "small")


def test_classes_of_another_shape_type_or_number_are_refused(tmp_path):
    for images, message in (
        ([IMAGES[0], IMAGES[0], IMAGES[0][:1]], r"class 2 is uint8 \[1, 4, 4, 1\], not uint8 \[2, 4, 4, 1\]"),
        (IMAGES.astype(np.float32), r"class 0 is float32"),
        (IMAGES[:2], "there are 2 classes of images for 3 names"),
    ):
        with pytest.raises(ValueError, match=message):
            write(tmp_path, images)
    assert not list(tmp_path.iterdir())


def test_the_checksum_of_several_files_is_that_of_their_contents_in_a_row(tmp_path):
    paths = tmp_path / "a", tmp_path / "b"
    for path, content in zip(paths, (b"one", b"two"), strict=True):
        path.write_bytes(content)
    assert file_sha256(*paths) == hashlib.sha256(b"onetwo").hexdigest()


def test_a_checksum_is_computed_again_only_when_the_file_has_changed(tmp_path, monkeypatch):
    write(tmp_path)
    array, computed = tmp_path / "small.npy", []
    monkeypatch.setattr(image_set, "file_sha256", lambda path: computed.append(path) or file_sha256(path))
    read_image_set(tmp_path, "small")
    assert not computed
    os.utime(array)
    read_image_set(tmp_path, "small")
    read_image_set(tmp_path, "small")
    assert computed == [array]
    before = array.stat()
    with open(array, "r+b") as file:  # in the middle, with the old modification time
        file.seek(-20, os.SEEK_END)
        file.write(b"\xff" * 10)
    os.utime(array, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataMissingError, match=r"small.npy does not have the checksum"):
        read_image_set(tmp_path, "small")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"file": 1, "sha256": "x"}'])
def test_a_kept_checksum_that_cannot_be_used_is_computed_again(tmp_path, content):
    write(tmp_path)
    (tmp_path / ".small.checksum.json").write_text(content)
    read_image_set(tmp_path, "small")


def test_the_hashes_of_splits_name_every_array(tmp_path):
    one = write(tmp_path)
    other = image_set.ImageSet(IMAGES[:1] + 1, ("a",), {})
    hashes = image_set.hashes_of({"train": one.select([0]), "validation": one.select([1]), "test": other})
    assert hashes["small"] == one.source["sha256"]
    assert hashes["test"] == hashlib.sha256(np.ascontiguousarray(other.images)).hexdigest()
    assert len(hashes) == 2
