"""mini-ImageNet's four sources, in small: seven classes of three images stand for the 100 of 600."""

import collections
import io
import itertools
import os
import pickle
import zipfile

import mini_imagenet
import numpy as np
import pytest
from mini_imagenet import FILE_PARTS, Contents
from mini_imagenet_folders import ilsvrc_images, ready_jpegs
from mini_imagenet_packed import SHARDS, packed
from mini_imagenet_pickles import FILES, load_pickle, pickles
from PIL import Image

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import read_image_set
from maml_tf.tasks.mini_imagenet import NAMES

CONTENTS = Contents(
    classes={
        "train": ["n00000001", "n00000002", "n00000003"],
        "validation": ["n00000004", "n00000005"],
        "test": ["n00000006", "n00000007"],
    },
    images_per_class=3,
)
PLACES = (1, 3, 4)  # of every class's images among its ILSVRC files


def encode(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def names(wnid):
    return [f"{wnid}{place:08d}.jpg" for place in PLACES]


@pytest.fixture(scope="module")
def jpegs():
    """{file name: an 84x84 JPEG}, all with the same header as the packed shards need it."""
    rng = np.random.default_rng(0)
    return {
        name: encode(Image.fromarray(rng.integers(0, 256, (84, 84, 3), np.uint8)), quality=90)
        for classes in CONTENTS.classes.values()
        for wnid in classes
        for name in names(wnid)
    }


@pytest.fixture(scope="module")
def pixels(jpegs):
    """{split: what must come out}."""
    return {
        split: np.stack([[np.asarray(Image.open(io.BytesIO(jpegs[name]))) for name in names(wnid)] for wnid in classes])
        for split, classes in CONTENTS.classes.items()
    }


@pytest.fixture
def csv_folder(tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    for split, classes in CONTENTS.classes.items():
        rows = [f"{name},{wnid}\n" for wnid in classes for name in names(wnid)]
        (folder / f"{FILE_PARTS[split]}.csv").write_text("filename,label\n" + "".join(rows))
    return folder


@pytest.fixture
def jpeg_folder(tmp_path, jpegs):
    """Some in one folder, some in folders of their own."""
    for name, content in jpegs.items():
        folder = tmp_path / "jpegs" / ("" if name < "n00000003" else f"sub/{name[:9]}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return tmp_path / "jpegs"


def write_shard(path, classes, jpegs):
    contents = [jpegs[name] for wnid in classes for name in names(wnid)]
    header = next(iter(jpegs.values()))[:600]  # the same in all: one size, quality and encoder
    bodies = [content[len(header) :] for content in contents]
    np.savez(
        path,
        jpeg_header=np.frombuffer(header, np.uint8),
        body=np.frombuffer(b"".join(bodies), np.uint8),
        offset=np.cumsum([0, *map(len, bodies)]),
        class_index=np.repeat(np.arange(len(classes), dtype=np.int16), len(PLACES)),
        class_wnid=np.array(classes, "S9"),
        filename=np.array([name for wnid in classes for name in names(wnid)], "S21"),
    )


@pytest.fixture
def packed_folder(tmp_path, jpegs):
    folder = tmp_path / "packed"
    folder.mkdir()
    for split, shards in SHARDS.items():
        classes = CONTENTS.classes[split]
        for index, shard in enumerate(shards):
            write_shard(folder / shard, classes[index : index + 1] if len(shards) > 1 else classes, jpegs)
    return folder


def write_pickles(folder, pixels, **options):
    folder.mkdir(exist_ok=True)
    for split, images in pixels.items():
        classes = {wnid: list(range(3 * i, 3 * i + 3)) for i, wnid in enumerate(CONTENTS.classes[split])}
        content = {"image_data": images.reshape(-1, 84, 84, 3), "class_dict": classes}
        (folder / FILES[split]).write_bytes(pickle.dumps(content, **options))
    return folder


def prepared(source, folder):
    mini_imagenet.write(source, folder, CONTENTS)
    return {split: read_image_set(folder, name, verify=True) for split, name in NAMES.items()}


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


@pytest.fixture
def imagenet(tmp_path):
    """ILSVRC files, four a class, whose order by number is not that by name; {class: images by number}."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "imagenet"
    images = {}
    for wnid in itertools.chain.from_iterable(CONTENTS.classes.values()):
        (folder / wnid).mkdir(parents=True)
        images[wnid] = []
        for number in (7, 20, 100, 1000):
            image = Image.fromarray(rng.integers(0, 256, (90 + number % 13, 120, 3), np.uint8))
            image.save(folder / wnid / f"{wnid}_{number}.JPEG")
            images[wnid].append(folder / wnid / f"{wnid}_{number}.JPEG")
    return folder, images


def test_ilsvrc_images_are_taken_by_number_resized_and_saved_again(tmp_path, imagenet, csv_folder):
    folder, files = imagenet
    by_class = prepared(ilsvrc_images(folder, csv_folder), tmp_path / "by_class")
    for split, classes in CONTENTS.classes.items():
        for index, wnid in enumerate(classes):
            for member, place in enumerate(PLACES):
                small = Image.open(files[wnid][place - 1]).resize((84, 84), Image.Resampling.LANCZOS)
                expected = np.asarray(Image.open(io.BytesIO(encode(small))))  # Pillow's default quality
                np.testing.assert_array_equal(by_class[split].images[index, member], expected)
    for path in folder.rglob("*.JPEG"):
        path.rename(folder / path.name)
    flat = prepared(ilsvrc_images(folder, csv_folder), tmp_path / "flat")
    assert {split: s.source for split, s in flat.items()} == {split: s.source for split, s in by_class.items()}


def test_grey_and_cmyk_images_become_rgb(tmp_path, imagenet, csv_folder):
    folder, files = imagenet
    Image.new("L", (100, 100), 77).save(files["n00000001"][0])
    Image.new("CMYK", (100, 100), (0, 0, 0, 0)).save(files["n00000001"][2])
    images = prepared(ilsvrc_images(folder, csv_folder), tmp_path / "prepared")["train"].images
    assert set(np.unique(images[0, 0])) == {77}
    assert images[0, 1].min() > 250


def test_an_incomplete_ilsvrc_class_is_named(imagenet, csv_folder):
    folder, files = imagenet
    files["n00000005"][1].unlink()
    with pytest.raises(DataMissingError, match=r"class n00000005 has 3 images n00000005_\*.JPEG; val.csv .* number 4"):
        ilsvrc_images(folder, csv_folder)


def test_a_class_with_more_images_than_ilsvrc_has_is_refused(imagenet, csv_folder):
    folder, _ = imagenet
    for number in range(2000, 3300):
        (folder / "n00000001" / f"n00000001_{number}.JPEG").touch()
    with pytest.raises(DataMissingError, match=r"class n00000001 has 1304 images .* exactly ILSVRC-2012's are needed"):
        ilsvrc_images(folder, csv_folder)


def test_an_unreadable_ilsvrc_image_is_named(tmp_path, imagenet, csv_folder):
    folder, files = imagenet
    broken = files["n00000006"][0]
    broken.write_bytes(broken.read_bytes()[:-1000])
    with pytest.raises(DataMissingError, match=rf"{broken.name} \(\d+ bytes\) is damaged .* not a readable image"):
        prepared(ilsvrc_images(folder, csv_folder), tmp_path / "prepared")
    with pytest.raises(DataMissingError, match=r"mini_imagenet_test.json is missing"):
        read_image_set(tmp_path / "prepared", NAMES["test"])


def test_missing_and_superfluous_classes_and_images_are_named_before_anything_is_written(tmp_path, jpegs, csv_folder):
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


def test_a_missing_damaged_or_oversized_jpeg_is_named(tmp_path, jpeg_folder, csv_folder, jpegs):
    path = jpeg_folder / "n0000000100000003.jpg"
    for content, message in (
        (jpegs[path.name][:-500], rf"{path.name} \(\d+ bytes\) is damaged or incomplete: it is not a readable image"),
        (b"<html>", rf"{path.name} \(6 bytes\) is an HTML page, not data: it is not a readable image"),
        (encode(Image.new("RGB", (100, 80))), f"{path.name} has 100x80 pixels; 84x84 are expected"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataMissingError, match=message):
            prepared(ready_jpegs(jpeg_folder, csv_folder), tmp_path / "prepared")
    assert not list((tmp_path / "prepared").iterdir())
    (jpeg_folder / "copy").mkdir()
    path.rename(jpeg_folder / "copy" / path.name)
    path.touch()
    with pytest.raises(DataMissingError, match=rf"{path.name} is there twice, in .*copy"):
        ready_jpegs(jpeg_folder, csv_folder)
    path.unlink()
    (jpeg_folder / "copy" / path.name).unlink()
    with pytest.raises(DataMissingError, match=rf"lacks 1 of the 9 images in train.csv, the first is {path.name}"):
        ready_jpegs(jpeg_folder, csv_folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html><body>404</body></html>", "val.csv .* is an HTML page"),
        ("label,filename\n", "the first line is"),
        ("filename,label\nn0000000400000001.jpg,n00000005\n", "line 2 is"),
        ("filename,label\nn0000000400000000.jpg,n00000004\n", "line 2 is"),
        ("filename,label\n../../secret,n00000004\n", "line 2 is"),
        ("filename,label\n" + "n0000000400000001.jpg,n00000004\n" * 2, "line 3 is"),
    ],
)
def test_a_wrong_csv_file_is_named(jpeg_folder, csv_folder, content, message):
    (csv_folder / "val.csv").write_text(content)
    with pytest.raises(DataMissingError, match=message):
        ready_jpegs(jpeg_folder, csv_folder)


def test_csv_files_are_read_from_their_zip_too(jpeg_folder, csv_folder):
    counts = ready_jpegs(jpeg_folder, csv_folder).counts
    path = jpeg_folder / "miniimagenet_csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for csv_file in csv_folder.iterdir():
            archive.write(csv_file, csv_file.name)
    assert ready_jpegs(jpeg_folder, jpeg_folder).counts == counts
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataMissingError, match=r"miniimagenet_csv.zip \(\d+ bytes\) is damaged or incomplete"):
        ready_jpegs(jpeg_folder, jpeg_folder)
    path.unlink()
    with pytest.raises(DataMissingError, match=r"holds neither train.csv nor miniimagenet_csv.zip"):
        ready_jpegs(jpeg_folder, jpeg_folder)


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
