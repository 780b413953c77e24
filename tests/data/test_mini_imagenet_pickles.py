"""mini-ImageNet from pickles: all protocols are read, and a pickle that asks for more than arrays is refused."""

import collections
import os
import pickle

import mini_imagenet
import numpy as np
import pytest
from mini_imagenet import FILE_PARTS
from mini_imagenet_pickles import FILES, are_pickles, load_pickle, pickles
from small_mini_imagenet import CONTENTS, prepared, write_pickles

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
    with pytest.raises(DataMissingError, match="no dictionary with image_data"):
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
    with pytest.raises(DataMissingError, match=rf"file.pkl \(\d+ bytes\) is a pickle that is not supported.*{message}"):
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


def write_second_family(folder, pixels, change=lambda content: content, **options):
    """The pickles of the category split, with those of the training phase besides."""
    folder.mkdir()
    names = {"train": "train_phase_train", "validation": "val", "test": "test"}
    for split, images in pixels.items():
        classes = CONTENTS.classes[split]
        labels = [number for number in range(len(classes)) for _ in range(3)]
        content = {
            "data": images.reshape(-1, 84, 84, 3),
            "labels": labels,
            "label2catname": dict(enumerate(classes)),
            "catname2label": {name: number for number, name in enumerate(classes)},
        }
        path = folder / f"miniImageNet_category_split_{names[split]}.pickle"
        path.write_bytes(pickle.dumps(change(content), **options))
    for phase in ("val", "test"):
        (folder / f"miniImageNet_category_split_train_phase_{phase}.pickle").write_bytes(pickle.dumps({}))
    return folder


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_the_category_split_is_read(tmp_path, pixels, protocol):
    folder = write_second_family(tmp_path / "pickles", pixels, protocol=protocol)
    assert are_pickles(folder)
    found = prepared(pickles(folder), tmp_path / "prepared")
    for split, images in pixels.items():
        np.testing.assert_array_equal(found[split].images, images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {k: c[k] for k in ("data", "labels")}, r"it does not name its classes \(catname2label\)"),
        (lambda c: c | {"catname2label": {"dog": 0}}, "it names classes 'dog'; WordNet ids such as n01532829"),
        (lambda c: c | {"labels": c["labels"][1:]}, "it does not hold one label for each image"),
        (lambda c: c | {"data": c["data"] / 255}, r"its images are float64 \[9, 84, 84, 3\], no uint8 array"),
    ],
)
def test_a_category_split_in_another_form_is_named(tmp_path, pixels, change, message):
    folder = write_second_family(tmp_path / "pickles", pixels, change)
    with pytest.raises(
        DataMissingError, match=f"train_phase_train.pickle .* is not supported because {message}"
    ) as error:
        pickles(folder)
    assert "damaged" not in str(error.value)


def test_a_category_split_that_asks_for_more_is_refused(tmp_path, monkeypatch, pixels):
    monkeypatch.chdir(tmp_path)
    folder = write_second_family(tmp_path / "pickles", pixels, lambda c: c | {"more": Harm(os.system, "touch harm")})
    with pytest.raises(DataMissingError, match=r"system, which is refused"):
        pickles(folder)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "name", ["mini_imagenet_{}.pkl", "miniImagenet-{}.pickle", "{}.pkl", "cache-{}-mini-imagenet.pkl", "{}_84.pickle"]
)
def test_the_cache_is_read_under_other_names(tmp_path, pixels, name):
    folder = write_pickles(tmp_path / "pickles", pixels)
    for split, part in FILE_PARTS.items():
        (folder / FILES[split]).rename(folder / name.format(part))
    found = prepared(pickles(folder), tmp_path / "prepared")
    np.testing.assert_array_equal(found["test"].images, pixels["test"])


def test_two_pickles_of_a_split_are_named(tmp_path, pixels):
    folder = write_pickles(tmp_path / "pickles", pixels)
    for name in ("a_train.pkl", "b_train.pkl"):
        (folder / name).write_bytes((folder / FILES["train"]).read_bytes())
    pickles(folder)  # the usual name comes first
    (folder / FILES["train"]).unlink()
    with pytest.raises(DataMissingError, match=r"several pickles may be those of train: a_train.pkl, b_train.pkl"):
        pickles(folder)
