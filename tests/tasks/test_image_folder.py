"""A folder of image files: every kind that Pillow reads, what is refused by file name, splits, and the cache."""

import os
import time

import numpy as np
import pytest
from PIL import Image

from maml_tf.errors import DataMissingError, UsageError
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.image_folder import decode_image, read_image_folder, read_split_folders, split_classes
from maml_tf.tasks.image_set import ImageSet

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
GREY = RGB[..., 0]
SHAPE, GREY_SHAPE = (6, 4, 3), (6, 4, 1)


def save(pixels, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes of two and three images."""
    for name, count in (("cat", 2), ("dog", 3)):
        for number in range(count):
            save(RGB // (number + 1), tmp_path / "animals" / name / f"{number}.png")
    return tmp_path / "animals"


def test_a_folder_is_a_class_and_a_file_an_image(folder):
    image_set = read_image_folder(folder, SHAPE)
    assert image_set.class_names == ("cat", "dog")
    assert [len(images) for images in image_set.images] == [2, 3]
    np.testing.assert_array_equal(image_set.images[1][2], RGB // 3)
    assert Episodes(image_set, 2, 1, 1).sample((1, 2), 1).support_x.shape == (1, 2, *SHAPE)


def test_classes_of_one_size_are_one_array(folder):
    (folder / "dog" / "2.png").unlink()
    for name in (".hidden", "Thumbs.db", "desktop.ini"):
        (folder / "dog" / name).write_bytes(b"no image")
    (folder / "labels.csv").write_text("beside the folders of the classes, no image is expected")
    assert read_image_folder(folder, SHAPE).images.shape == (2, 2, *SHAPE)


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp", "gif", "ppm", "jpg"])
def test_formats(tmp_path, ending):
    path = save(np.full((6, 4, 3), 100, np.uint8), tmp_path / f"a.{ending}")
    np.testing.assert_allclose(decode_image(path, SHAPE), 100, atol=3)  # JPEG and WebP are not exact
    wrong = path.rename(tmp_path / "a.jpg")  # the content decides, not the name
    np.testing.assert_allclose(decode_image(wrong, SHAPE), 100, atol=3)


def palette():
    return Image.fromarray(RGB).quantize(24)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(GREY), np.repeat(GREY[..., None], 3, -1)),
        (Image.fromarray(GREY > 128), np.repeat(np.where(GREY > 128, 255, 0)[..., None], 3, -1)),
        (palette(), np.asarray(palette().convert("RGB"))),
        (Image.fromarray(np.dstack([RGB, np.full((6, 4), 255, np.uint8)])), RGB),
        (Image.fromarray(np.dstack([RGB, np.zeros((6, 4), np.uint8)])), np.full(SHAPE, 255)),
        (Image.fromarray(np.dstack([GREY, np.zeros((6, 4), np.uint8)])), np.full(SHAPE, 255)),
        (Image.fromarray(GREY.astype(np.uint16) * 257), np.repeat(GREY[..., None], 3, -1)),
    ],
    ids=["grey", "one bit", "palette", "opaque", "transparent", "transparent grey", "16 bit"],
)
def test_modes_become_rgb(tmp_path, image, expected):
    np.testing.assert_array_equal(decode_image(save(image, tmp_path / "a.png"), SHAPE), expected)


def test_a_transparent_colour_of_a_palette_is_laid_over_white(tmp_path):
    image = Image.new("P", (4, 6), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    path = save(image, tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(decode_image(path, SHAPE), np.full(SHAPE, 255))


def test_grey_is_asked_for_by_one_channel(tmp_path):
    path = save(RGB, tmp_path / "a.png")
    expected = np.asarray(Image.fromarray(RGB).convert("L"))[..., None]
    np.testing.assert_array_equal(decode_image(path, GREY_SHAPE), expected)


def test_cmyk_and_sizes_are_converted(tmp_path):
    path = save(Image.new("CMYK", (40, 60), (0, 0, 0, 0)), tmp_path / "a.tiff")
    np.testing.assert_array_equal(decode_image(path, SHAPE), np.full(SHAPE, 255))


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_the_exif_orientation_is_applied(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4, :4] = 255
    path = save(pixels, tmp_path / "a.jpg", exif=exif, quality=95)
    found = decode_image(path, (8, 8, 3))
    assert np.abs(found.astype(int) - np.rot90(pixels, turn)).mean() < 10


def test_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 6), color) for color in ("red", "blue")]
    path = save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_image(path, SHAPE)[0, 0], [255, 0, 0])


def test_every_unreadable_file_is_named(folder):
    (folder / "cat" / "notes.txt").write_text("a text")
    (folder / "dog" / "empty.png").write_bytes(b"")
    whole = (folder / "dog" / "0.png").read_bytes()
    (folder / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    save(Image.fromarray(np.zeros((6, 4), np.float32)), folder / "dog" / "float.tiff")
    with pytest.raises(
        DataMissingError, match=r"4 of 9 files cannot be read as images: .*notes.txt \(no image"
    ) as error:
        read_image_folder(folder, SHAPE)
    for name in ("empty.png", "cut.png", "float.tiff (images of the mode 'F' (32-bit numbers)"):
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "empty").mkdir(), "empty holds no images; remove it"),
        (lambda folder: (folder / "cat" / "more").mkdir(), "more is a folder in the folder of a class"),
    ],
)
def test_a_folder_in_another_form_is_refused(folder, change, message):
    change(folder)
    with pytest.raises(DataMissingError, match=message):
        read_image_folder(folder, SHAPE)


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(DataMissingError, match="nowhere: there is no such folder"):
        read_image_folder(tmp_path / "nowhere")
    save(RGB, tmp_path / "a.png")
    with pytest.raises(DataMissingError, match="holds no folders; one folder of image files for each class"):
        read_image_folder(tmp_path)


@pytest.mark.parametrize("shape", [(84, 84), (84, 84, 2), (0, 84, 3), (84.0, 84, 3), 84])
def test_a_wrong_shape_is_named(folder, shape):
    with pytest.raises(UsageError, match=r"image_shape: .* is not allowed; expected .height, width, channels."):
        read_image_folder(folder, shape)


def test_the_cache_is_used_until_a_file_changes(folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = read_image_folder(folder, SHAPE, cache)
    assert all(isinstance(images, np.memmap) for images in first.images)
    with monkeypatch.context() as context:
        context.setattr("maml_tf.tasks.image_folder.decode_image", lambda *_: pytest.fail("decoded again"))
        again = read_image_folder(folder, SHAPE, cache)
    assert again.source == first.source
    for one, other in zip(first.images, again.images, strict=True):
        np.testing.assert_array_equal(one, other)
    save(255 - RGB, folder / "cat" / "0.png")
    os.utime(folder / "cat" / "0.png", ns=(time.time_ns(), time.time_ns() + 10**9))
    changed = read_image_folder(folder, SHAPE, cache)
    np.testing.assert_array_equal(changed.images[0][0], 255 - RGB)
    assert read_image_folder(folder, GREY_SHAPE, cache).images[0].shape == (2, *GREY_SHAPE)
    (cache / f"{changed.source['name']}.json").write_text("{")
    np.testing.assert_array_equal(read_image_folder(folder, SHAPE, cache).images[0][0], 255 - RGB)


def test_the_source_names_the_pixels(folder, tmp_path):
    in_memory = read_image_folder(folder, SHAPE).source
    assert in_memory["origin"] == "folder animals: 5 files in 2 folders, 6x4x3"
    assert in_memory["sha256"] == read_image_folder(folder, SHAPE).source["sha256"]
    save(255 - RGB, folder / "cat" / "0.png")
    assert in_memory["sha256"] != read_image_folder(folder, SHAPE).source["sha256"]


def image_set(num_classes):
    names = tuple(f"class{i:02d}" for i in range(num_classes))
    return ImageSet(np.arange(num_classes, dtype=np.uint8).reshape(-1, 1, 1, 1, 1), names, {})


@pytest.mark.parametrize(("num_classes", "sizes"), [(100, (64, 16, 20)), (10, (6, 2, 2)), (3, (1, 1, 1))])
def test_classes_are_divided_by_a_seed(num_classes, sizes):
    splits = split_classes(image_set(num_classes), 1)
    assert tuple(len(splits[name].class_names) for name in ("train", "validation", "test")) == sizes
    names = [name for part in splits.values() for name in part.class_names]
    assert sorted(names) == list(image_set(num_classes).class_names)
    for part in splits.values():
        assert [f"class{i:02d}" for i in part.images.ravel()] == list(part.class_names)
    assert split_classes(image_set(num_classes), 1)["test"].class_names == splits["test"].class_names


def test_another_seed_divides_otherwise():
    one, other = (split_classes(image_set(100), seed)["test"].class_names for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.0, 0.0, 0.0)])
def test_wrong_fractions_are_named(fractions):
    with pytest.raises(UsageError, match=r"split: .* expected three positive numbers with the sum 1"):
        split_classes(image_set(10), 1, fractions)
    with pytest.raises(UsageError, match="2 classes cannot be divided into 3 splits"):
        split_classes(image_set(2), 1)


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_three_folders_are_the_splits(tmp_path, name):
    for split, animal in (("train", "cat"), (name, "dog"), ("test", "owl")):
        save(RGB, tmp_path / split / animal / "a.png")
    splits = read_split_folders(tmp_path, SHAPE)
    assert [part.class_names for part in splits.values()] == [("cat",), ("dog",), ("owl",)]
    save(RGB, tmp_path / "test" / "cat" / "a.png")
    with pytest.raises(DataMissingError, match=r"1 classes are in train and in test \(cat\)"):
        read_split_folders(tmp_path, SHAPE)


def test_a_missing_split_is_named(folder):
    with pytest.raises(DataMissingError, match="animals has no folder train: train, validation, test are expected"):
        read_split_folders(folder, SHAPE)
