"""Omniglot in small: both sources give the same array, and an incomplete or damaged source is named."""

import io
import zipfile

import numpy as np
import omniglot
import pytest
from PIL import Image

from maml_tf.errors import DataMissingError

COUNTS = omniglot.Counts(background=2, evaluation=1, drawings=20)
CHARACTERS = ("background/Greek/character01", "background/Greek/character02", "evaluation/Tengwar/character01")


@pytest.fixture(scope="module")
def ink():
    return np.random.default_rng(0).random((3, 20, 105, 105)) < 0.1


@pytest.fixture
def folder(tmp_path, ink):
    """The official archives in small, 1-bit PNGs with black ink, and the packed copy of the same."""
    for archive_name in omniglot.ZIPS:
        with zipfile.ZipFile(tmp_path / archive_name, "w") as archive:
            for character, drawings in zip(CHARACTERS, ink, strict=True):
                part, alphabet, name = character.split("/")
                if archive_name == f"images_{part}.zip":
                    for drawer, drawing in enumerate(drawings, 1):
                        file = io.BytesIO()
                        Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8)).convert("1").save(file, "PNG")
                        archive.writestr(f"images_{part}/{alphabet}/{name}/0001_{drawer:02d}.png", file.getvalue())
    np.savez(
        tmp_path / "omniglot.npz",
        images_packed=np.packbits(ink.reshape(60, -1), axis=1),
        class_index=np.repeat(np.arange(3), 20),
        drawer=np.tile(np.arange(1, 21), 3),
        class_name=np.array(CHARACTERS),
    )
    return tmp_path


def test_zips_and_packed_copy_give_the_same(folder):
    images, names = omniglot.from_zips(folder, COUNTS)
    packed_images, packed_names = omniglot.from_packed(folder, COUNTS)
    assert tuple(names) == tuple(packed_names) == CHARACTERS
    np.testing.assert_array_equal(images, packed_images)
    assert images.shape == (3, 20, 28, 28, 1)
    assert set(np.unique(images)) == {0, 255}


def test_the_resize_is_what_pillow_makes_of_lanczos_on_bilevel_images(ink):
    for drawing in ink[0]:
        bilevel = Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8)).convert("1")
        pillow = np.asarray(bilevel.resize((28, 28), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(omniglot.nearest_28(drawing), np.where(pillow, 0, 255))


def test_damaged_archives_are_named(folder):
    path = folder / "images_evaluation.zip"
    content = path.read_bytes()
    middle = len(content) // 2
    for wrong, message in (
        (content[:1000], r"images_evaluation.zip \(1000 bytes\) is damaged or incomplete"),
        (content[:middle] + b"\xff" * 9 + content[middle + 9 :], r"images_evaluation.zip .* is damaged or incomplete"),
        (b"<html>", r"images_evaluation.zip \(6 bytes\) is an HTML page, not data"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(DataMissingError, match=message):
            omniglot.from_zips(folder, COUNTS)
    (folder / "omniglot.npz").write_bytes(b"PK")
    with pytest.raises(DataMissingError, match=r"omniglot.npz \(2 bytes\) is damaged or incomplete"):
        omniglot.from_packed(folder, COUNTS)


def test_missing_characters_and_drawings_are_named(folder):
    for read in (omniglot.from_zips, omniglot.from_packed):
        with pytest.raises(DataMissingError, match=r"'background': 2, 'evaluation': 1\}; \{'background': 964, 'ev"):
            read(folder)
    with np.load(folder / "omniglot.npz") as archive:
        arrays = {key: value[:-1] if len(value) == 60 else value for key, value in archive.items()}
    np.savez(folder / "omniglot.npz", **arrays)
    with pytest.raises(DataMissingError, match="evaluation/Tengwar/character01 has 19 drawings; 20 are expected"):
        omniglot.from_packed(folder, COUNTS)
    np.savez(folder / "omniglot.npz", **arrays | {"class_index": np.full(59, 3)})
    with pytest.raises(DataMissingError, match=r"omniglot.npz .* do not fit together"):
        omniglot.from_packed(folder, COUNTS)
