"""Preparing Omniglot: both sources give the same array, every damage is named, exit codes are as designed."""

import hashlib
import io
import pathlib
import subprocess
import sys
import urllib.error
import zipfile

import download
import numpy as np
import omniglot
import pytest
from PIL import Image

from maml_tf.errors import DataMissingError

ROOT = pathlib.Path(__file__).resolve().parents[2]
ZIPS = {"images_background.zip": {"characters": 2}, "images_evaluation.zip": {"characters": 1}}
CHARACTERS = ("background/Greek/character01", "background/Greek/character02", "evaluation/Tengwar/character01")


@pytest.fixture(scope="module")
def ink():
    return np.random.default_rng(0).random((3, 20, 105, 105)) < 0.1


@pytest.fixture
def zips(tmp_path, ink):
    """The official archives in small: 1-bit PNGs with black ink."""
    for archive_name in ZIPS:
        with zipfile.ZipFile(tmp_path / archive_name, "w") as archive:
            for character, drawings in zip(CHARACTERS, ink, strict=True):
                part, alphabet, name = character.split("/")
                if archive_name == f"images_{part}.zip":
                    for drawer, drawing in enumerate(drawings, 1):
                        file = io.BytesIO()
                        Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8)).convert("1").save(file, "PNG")
                        archive.writestr(f"images_{part}/{alphabet}/{name}/0001_{drawer:02d}.png", file.getvalue())
    return tmp_path


def pack(folder, ink):
    pixels = np.packbits(ink.reshape(60, -1), axis=1)
    np.savez(
        folder / "omniglot.npz",
        images_packed=pixels,
        class_index=np.repeat(np.arange(3), 20),
        drawer=np.tile(np.arange(1, 21), 3),
        class_name=np.array(CHARACTERS),
    )


def test_zips_and_packed_copy_give_the_same(zips, ink):
    pack(zips, ink)
    images, names = omniglot.from_zips(zips, ZIPS)
    packed_images, packed_names = omniglot.from_packed(zips)
    assert tuple(names) == tuple(packed_names) == CHARACTERS
    np.testing.assert_array_equal(images, packed_images)
    assert images.shape == (3, 20, 28, 28, 1)
    assert set(np.unique(images)) == {0, 255}


def test_the_resize_is_what_pillow_makes_of_lanczos_on_bilevel_images(ink):
    for drawing in ink[0]:
        bilevel = Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8)).convert("1")
        pillow = np.asarray(bilevel.resize((28, 28), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(omniglot.nearest_28(drawing), np.where(pillow, 0, 255))


def test_damaged_archives_are_named(zips):
    with pytest.raises(DataMissingError, match=r"images_background.zip holds 2 characters; 964 are expected"):
        omniglot.from_zips(zips)
    path = zips / "images_evaluation.zip"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataMissingError, match=r"images_evaluation.zip cannot be read"):
        omniglot.from_zips(zips, ZIPS)
    (zips / "omniglot.npz").write_bytes(b"PK")
    with pytest.raises(DataMissingError, match=r"omniglot.npz cannot be read"):
        omniglot.from_packed(zips)


def test_a_missing_drawing_is_named(zips, ink):
    pack(zips, ink)
    with np.load(zips / "omniglot.npz") as archive:
        arrays = {key: value[:-1] if len(value) == 60 else value for key, value in archive.items()}
    np.savez(zips / "omniglot.npz", **arrays)
    with pytest.raises(DataMissingError, match="evaluation/Tengwar/character01 has 19 drawings; 20 are expected"):
        omniglot.from_packed(zips)


def serve(monkeypatch, content):
    def urlopen(url, timeout):
        if content is None:
            raise urllib.error.URLError("no route")
        return io.BytesIO(content)

    monkeypatch.setattr(download.urllib.request, "urlopen", urlopen)


def test_a_download_is_whole_and_right_or_an_error(tmp_path, monkeypatch):
    path, right = tmp_path / "file.zip", b"the archive"
    md5 = hashlib.md5(right).hexdigest()
    serve(monkeypatch, None)
    with pytest.raises(
        DataMissingError, match=r"https://x cannot be downloaded .* Bring the file by hand to .*file.zip"
    ):
        download.fetch("https://x", path, md5)
    assert not list(tmp_path.iterdir())
    serve(monkeypatch, b"<!DOCTYPE html><html>rate limit</html>")
    with pytest.raises(
        DataMissingError, match=rf"file.zip \(38 bytes\) is .* an HTML page: its MD5 is \w+, expected {md5}"
    ):
        download.fetch("https://x", path, md5)
    path.unlink()
    serve(monkeypatch, right)
    download.fetch("https://x", path, md5)
    assert path.read_bytes() == right
    serve(monkeypatch, None)
    download.fetch("https://x", path, md5)  # not downloaded twice
    path.write_bytes(right[:4])
    with pytest.raises(DataMissingError, match=r"file.zip \(4 bytes\) is damaged, incomplete"):
        download.fetch("https://x", path, md5)


def prepare(*arguments):
    return subprocess.run(
        [sys.executable, "data/prepare.py", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )


def test_exit_codes(zips, tmp_path):
    common = ("--prepared", tmp_path / "prepared", "--downloads", tmp_path / "downloads")
    absent = prepare("--mirror", tmp_path / "absent", *common)
    assert (absent.returncode, "absent: there is no such folder" in absent.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    empty = prepare("--mirror", tmp_path / "empty", *common)
    assert (empty.returncode, "holds neither omniglot.npz nor images_background.zip" in empty.stderr) == (3, True)
    wrong = prepare("--mirror", zips, *common)
    assert (wrong.returncode, "expected 68d2efa1b9178cc56df9314c21c6e718" in wrong.stderr) == (3, True)
    assert "Traceback" not in absent.stderr + empty.stderr + wrong.stderr
    assert not (tmp_path / "prepared").exists()
    assert prepare("--no-such-option").returncode == 2
