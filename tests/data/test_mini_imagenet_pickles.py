"""mini-ImageNet from pickles: all protocols are read, and a pickle that asks for more than arrays is refused."""

import collections
import os
import pickle

import mini_imagenet
import numpy as np
import pytest
from mini_imagenet_pickles import FILES, load_pickle, pickles
from small_mini_imagenet import write_pickles

from maml_tf.errors import DataMissingError


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_every_protocol_are_read(tmp_path, pixels, protocol):
    indices = {"a": np.arange(3), "b": [np.int64(3), np.int32(4), 5]}
    images = pixels["validation"].reshape(-1, 84, 84, 3)
    path = tmp_path / "file.pkl"
    content = pickle.dumps({"image_data": images, "class_dict": indices}, protocol=protocol)
    for written_by in (content, content.replace(b"numpy._core", b"numpy.core") if protocol < 4 else content):
        path.write_bytes(written_by)
        read, classes = load_pickle(path)
        np.testing.assert_array_equal(read, images)
        assert {name: list(members) for name, members in classes.items()} == {"a": [0, 1, 2], "b": [3, 4, 5]}


def test_a_pickle_of_python_2_is_read(tmp_path, pixels):
    """Python 2 wrote an array's bytes and all names as its own strings, which are not Python 3's."""
    image = pixels["test"][0, :1]
    raw = image.tobytes()
    string = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + string(b"b") + b"tR"
        b"(K\x01(K\x01KTKTK\x03tcnumpy\ndtype\n(" + string(b"u1") + b"K\x00K\x01tR(K\x03" + string(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbI00\nT" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )  # fmt: skip
    path = tmp_path / "file.pkl"
    path.write_bytes(
        b"\x80\x02}(" + string(b"image_data") + array + string(b"class_dict") + b"}" + string(b"a") + b"]K\x00asu."
    )
    images, classes = load_pickle(path)
    np.testing.assert_array_equal(images, image)
    assert list(classes["a"]) == [0]


class Harm:
    """An object whose pickle asks for a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("harm", "refused"),
    [
        (Harm(os.system, "touch harm"), r"\w+.system, which is refused"),
        (Harm(eval, "open('harm', 'w')"), r"builtin\w+.eval, which is refused"),
        (Harm(np.load, "harm"), r"numpy.load, which is refused"),
        (Harm(np.dtype, "O"), "array of 'O', which is refused"),
        (Harm(np.ndarray, (1,), "O"), "damaged or incomplete: TypeError"),
        (collections.OrderedDict(), "collections.OrderedDict, which is refused"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_asks_for_more_is_refused_and_nothing_is_executed(
    tmp_path, monkeypatch, pixels, harm, refused, protocol
):
    monkeypatch.chdir(tmp_path)
    folder = write_pickles(tmp_path / "pickles", pixels)
    content = {"image_data": harm, "class_dict": {"a": [0]}}
    (folder / FILES["train"]).write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(DataMissingError, match=r"mini-imagenet-cache-train.pkl .*" + refused):
        pickles(folder)
    assert not (tmp_path / "harm").exists()


def test_a_pickle_cannot_change_what_a_type_is(tmp_path):
    """The state that follows a type in a pickle could make NumPy take numbers for addresses; it is ignored."""
    content = pickle.dumps(np.zeros(2, np.uint8), protocol=2)
    forged = content.replace(b"K\x03X\x01\x00\x00\x00|", b"K\x03X\x01\x00\x00\x00>")
    assert forged != content
    (tmp_path / "file.pkl").write_bytes(forged)
    with pytest.raises(DataMissingError, match="no dictionary"):
        load_pickle(tmp_path / "file.pkl")
    assert np.dtype("u1").byteorder == "|"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"image_data": np.zeros((2, 84, 84, 3)), "class_dict": {"a": [0, 1]}}, "no uint8 array"),
        ({"image_data": np.zeros((2, 32, 32, 3), np.uint8), "class_dict": {"a": [0, 1]}}, "no uint8 array"),
        ({"image_data": np.zeros((2, 84, 84, 3), np.uint8)}, "no dictionary with image_data and class_dict"),
        ([1, 2], "no dictionary with image_data and class_dict"),
        ({"image_data": np.zeros((2, 84, 84, 3), np.uint8), "class_dict": {}}, "no dictionary of classes"),
        ({"image_data": np.zeros((2, 84, 84, 3), np.uint8), "class_dict": {"a": [0.5, 1]}}, "whole numbers for a"),
        ({"image_data": np.zeros((2, 84, 84, 3), np.uint8), "class_dict": {"a": [0, 2]}}, "not below 2"),
        ({"image_data": np.zeros((2, 84, 84, 3), np.uint8), "class_dict": {"a": [0], "b": [0]}}, "an index twice"),
    ],
)
def test_a_pickle_of_something_else_is_named(tmp_path, content, message):
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DataMissingError, match=rf"file.pkl \(\d+ bytes\) is damaged or incomplete: .*{message}"):
        load_pickle(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataMissingError, match=r"file.pkl \(\d+ bytes\) is damaged or incomplete"):
        load_pickle(path)


def test_a_missing_pickle_and_a_missing_class_are_named(tmp_path, pixels):
    folder = write_pickles(tmp_path / "pickles", pixels)
    with pytest.raises(DataMissingError, match=r"pickles: train lacks 64 classes: n01532829, .*, \.\.\."):
        mini_imagenet.write(pickles(folder), tmp_path / "prepared")
    (folder / FILES["test"]).unlink()
    with pytest.raises(DataMissingError, match=r"mini-imagenet-cache-test.pkl is missing"):
        pickles(folder)
