"""mini-ImageNet from folders of images: ILSVRC-2012's own, and ready JPEGs."""

import io
import itertools

import numpy as np
import pytest
from mini_imagenet_folders import ilsvrc_images, ready_jpegs
from PIL import Image
from small_mini_imagenet import CONTENTS, POSITIONS, encode, prepared

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import read_image_set
from maml_tf.tasks.mini_imagenet import NAMES


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
            for member, position in enumerate(POSITIONS):
                small = Image.open(files[wnid][position - 1]).resize((84, 84), Image.Resampling.LANCZOS)
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


def test_images_of_original_size_named_as_in_the_csv_files_are_resized(tmp_path, imagenet, csv_folder):
    folder, files = imagenet
    expected = prepared(ilsvrc_images(folder, csv_folder), tmp_path / "ilsvrc")
    originals = tmp_path / "originals"
    originals.mkdir()
    for wnid, members in files.items():
        for position in POSITIONS:
            members[position - 1].rename(originals / f"{wnid}{position:08d}.jpg")
    found = prepared(ready_jpegs(originals, csv_folder), tmp_path / "prepared")
    for split in CONTENTS.classes:
        np.testing.assert_array_equal(found[split].images, expected[split].images)
        assert found[split].source["origin"].startswith("images of original size named as in the csv files, Lanczos")


@pytest.mark.parametrize("ending", ["jpg", "JPG", "jpeg", "png", "PNG", "webp", "bmp"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_other_formats_and_endings_are_read(tmp_path, jpeg_folder, csv_folder, pixels, kind, ending):
    path = jpeg_folder / "n0000000100000003.jpg"
    grey = Image.new("RGB", (84, 84), (80, 80, 80))
    options = {"lossless": True} if kind == "WEBP" else {}
    grey.save(path.with_suffix(f".{ending}"), kind, **options)
    if ending != "jpg":
        path.unlink()
    image = ready_jpegs(jpeg_folder, csv_folder).read("train", "n00000001")[1]
    np.testing.assert_array_equal(image, np.full((84, 84, 3), 80))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer, not the data"),
        (b"PK\x03\x04" + bytes(30), "a zip archive, to be unpacked"),
        (b"\x1f\x8b" + bytes(30), "a gzip archive"),
        (
            b"\x00\x00\x00\x1cftypheic" + bytes(30),
            "a HEIC image, which is not supported because Pillow does not read it",
        ),
        (b"\x93NUMPY" + bytes(30), "a NumPy array, which is not supported because"),
    ],
    ids=["LFS", "zip", "gzip", "HEIC", "npy"],
)
def test_what_lies_in_place_of_an_image_is_named(jpeg_folder, csv_folder, content, what):
    path = jpeg_folder / "n0000000100000003.jpg"
    path.write_bytes(content)
    with pytest.raises(DataMissingError, match=rf"{path.name} .* is {what}") as error:
        ready_jpegs(jpeg_folder, csv_folder).read("train", "n00000001")
    assert "damaged" not in str(error.value)


def test_a_folder_given_under_the_wrong_option_is_recognised(jpeg_folder, imagenet, csv_folder):
    with pytest.raises(DataMissingError, match=r"holds images named as in the csv files.*: give it as --jpegs"):
        ilsvrc_images(jpeg_folder, csv_folder)
    with pytest.raises(DataMissingError, match=r"holds images with the names of ILSVRC-2012.*: give it as --imagenet"):
        ready_jpegs(imagenet[0], csv_folder)
