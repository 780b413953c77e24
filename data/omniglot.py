"""Reads Omniglot, as published (two zips of PNGs) or from a packed copy, and resizes it as the authors' code does."""

import collections
import dataclasses
import io
import pathlib
import zipfile

import numpy as np
from integrity import file_error, read_npz
from PIL import Image

from maml_tf.errors import DataMissingError
from maml_tf.tasks.omniglot import CHARACTERS, DRAWINGS, SIDE

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
# MD5 checksums, the same as in the loaders of other libraries.
ZIPS = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
PACKED = "omniglot.npz"
ORIGINAL_SIDE = 105


@dataclasses.dataclass(frozen=True)
class Counts:
    """Expected numbers of characters in both archives, and of drawings of each character."""

    background: int = 964
    evaluation: int = CHARACTERS - 964
    drawings: int = DRAWINGS


def nearest_28(ink: np.ndarray) -> np.ndarray:
    """Resizes bilevel drawings to 28x28 pixels.

    The authors' script asks Pillow for Lanczos. On bilevel images Pillow silently takes the nearest pixel, the one
    under the centre of the new pixel, so the paper's networks were trained on such images (PROTOCOL 2.2).

    Args:
        ink: bool [..., 105, 105], True where there is ink.

    Returns:
        uint8 [..., 28, 28], 255 where there is ink.
    """
    centres = ((np.arange(SIDE) + 0.5) * ORIGINAL_SIDE / SIDE).astype(int)
    return np.where(ink[..., centres[:, None], centres], 255, 0).astype(np.uint8)


def from_zips(folder: str | pathlib.Path, counts: Counts | None = None) -> tuple[np.ndarray, list[str]]:
    """Reads the official zips.

    Args:
        folder: holds the zips.
        counts: expected numbers of characters and drawings; by default those of the published data set.

    Returns:
        images: uint8 [C, 20, 28, 28, 1], the C characters sorted by name.
        names: of the characters.

    Raises:
        DataMissingError: a zip is missing, damaged or incomplete; names it.
    """
    drawings: dict[str, dict[str, np.ndarray]] = collections.defaultdict(dict)
    for name in ZIPS:
        path = pathlib.Path(folder) / name
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    if member.endswith(".png"):
                        part, alphabet, character, file = member.split("/")
                        image = Image.open(io.BytesIO(archive.read(member)), formats=["PNG"])
                        character = f"{part.removeprefix('images_')}/{alphabet}/{character}"
                        drawings[character][file] = ~np.asarray(image.convert("1"))
        except Exception as error:  # a broken archive or image can raise nearly anything
            raise file_error(path, error) from None
    return _prepared(drawings, folder, counts or Counts())


def from_packed(folder: str | pathlib.Path, counts: Counts | None = None) -> tuple[np.ndarray, list[str]]:
    """Reads the packed copy `omniglot.npz`, which data/README.md describes. Arguments and results as `from_zips`."""
    path = pathlib.Path(folder) / PACKED
    arrays = read_npz(path, ("class_name", "images_packed", "class_index", "drawer"))
    drawings: dict[str, dict[str, np.ndarray]] = collections.defaultdict(dict)
    try:
        pixels = np.unpackbits(arrays["images_packed"], axis=1)[:, : ORIGINAL_SIDE**2]
        pixels = pixels.reshape(-1, ORIGINAL_SIDE, ORIGINAL_SIDE).astype(bool)
        for image, character, person in zip(pixels, arrays["class_index"], arrays["drawer"], strict=True):
            drawings[str(arrays["class_name"][character])][f"{person:02d}"] = image
    except (ValueError, IndexError, TypeError) as error:
        raise file_error(path, f"its arrays do not fit together: {error}") from None
    return _prepared(drawings, path, counts or Counts())


def _prepared(
    drawings: dict[str, dict[str, np.ndarray]], source: str | pathlib.Path, counts: Counts
) -> tuple[np.ndarray, list[str]]:
    """Checks {character: {file name: ink}} for completeness. Returns images and names as `from_zips`."""
    names = sorted(drawings)
    found = collections.Counter(name.split("/")[0] for name in names)
    expected = {"background": counts.background, "evaluation": counts.evaluation}
    if found != expected:
        raise DataMissingError(f"{source} holds the characters {dict(found)}; {expected} are expected")
    for name in names:
        if len(drawings[name]) != counts.drawings:
            raise DataMissingError(
                f"{source}: {name} has {len(drawings[name])} drawings; {counts.drawings} are expected"
            )
        for file, ink in drawings[name].items():
            if ink.shape != (ORIGINAL_SIDE, ORIGINAL_SIDE):
                raise DataMissingError(f"{source}: {name}/{file} is {ink.shape}; 105 x 105 pixels are expected")
    images = np.stack([[drawings[name][file] for file in sorted(drawings[name])] for name in names])
    return nearest_28(images)[..., np.newaxis], names
