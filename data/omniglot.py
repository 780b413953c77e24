"""Reads Omniglot as published (two zips of PNGs) or from a packed mirror, and resizes it as the authors' code did."""

import collections
import dataclasses
import io
import pathlib
import zipfile

import numpy as np
from damage import damaged, read_npz
from PIL import Image

from maml_tf.errors import DataMissingError
from maml_tf.tasks.omniglot import CHARACTERS, DRAWINGS, SIDE

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
# The checksums are the ones that other libraries' loaders have published for years.
ZIPS = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
PACKED = "omniglot.npz"
ORIGINAL_SIDE = 105


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many characters and drawings of each there must be; the published set unless a test says otherwise."""

    background: int = 964
    evaluation: int = CHARACTERS - 964
    drawings: int = DRAWINGS


def nearest_28(ink):
    """Resizes bilevel drawings [..., 105, 105] to uint8 [..., 28, 28] with ink 255 and paper 0.

    The authors' script asks Pillow for Lanczos; on bilevel images Pillow silently takes the nearest pixel, so that is
    what the paper's networks saw (PROTOCOL 2.2). Nearest means the pixel under the centre of the new one.
    """
    centres = ((np.arange(SIDE) + 0.5) * ORIGINAL_SIDE / SIDE).astype(int)
    return np.where(ink[..., centres[:, None], centres], 255, 0).astype(np.uint8)


def from_zips(folder, counts=None):
    """Reads the official zips in `folder`.

    Args:
        folder: where the zips lie.
        counts: Counts; the published ones by default.

    Returns:
        (images uint8 [C, 20, 28, 28, 1], names) with the classes sorted by name.

    Raises:
        DataMissingError: a zip is unreadable or does not hold what it should; names it.
    """
    drawings = collections.defaultdict(dict)
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
            raise damaged(path, error) from None
    return _prepared(drawings, folder, counts or Counts())


def from_packed(folder, counts=None):
    """Reads the packed mirror `omniglot.npz` (described in data/README.md); arguments and result as `from_zips`."""
    path = pathlib.Path(folder) / PACKED
    arrays = read_npz(path, ("class_name", "images_packed", "class_index", "drawer"))
    drawings = collections.defaultdict(dict)
    try:
        pixels = np.unpackbits(arrays["images_packed"], axis=1)[:, : ORIGINAL_SIDE**2]
        pixels = pixels.reshape(-1, ORIGINAL_SIDE, ORIGINAL_SIDE).astype(bool)
        for image, character, person in zip(pixels, arrays["class_index"], arrays["drawer"], strict=True):
            drawings[str(arrays["class_name"][character])][f"{person:02d}"] = image
    except (ValueError, IndexError, TypeError) as error:
        raise damaged(path, f"its arrays do not fit together: {error}") from None
    return _prepared(drawings, path, counts or Counts())


def _prepared(drawings, where, counts):
    """Checks {character: {file name: ink}} for completeness; returns images and names as `from_zips`."""
    names = sorted(drawings)
    found = collections.Counter(name.split("/")[0] for name in names)
    expected = {"background": counts.background, "evaluation": counts.evaluation}
    if found != expected:
        raise DataMissingError(f"{where} holds the characters {dict(found)}; {expected} are expected")
    for name in names:
        if len(drawings[name]) != counts.drawings:
            raise DataMissingError(
                f"{where}: {name} has {len(drawings[name])} drawings; {counts.drawings} are expected"
            )
        for file, ink in drawings[name].items():
            if ink.shape != (ORIGINAL_SIDE, ORIGINAL_SIDE):
                raise DataMissingError(f"{where}: {name}/{file} is {ink.shape}; 105 x 105 pixels are expected")
    images = np.stack([[drawings[name][file] for file in sorted(drawings[name])] for name in names])
    return nearest_28(images)[..., np.newaxis], names
