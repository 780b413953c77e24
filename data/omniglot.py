"""Reads Omniglot as published (two zips of PNGs) or from a packed mirror, and resizes it as the authors' code did."""

import collections
import io
import pathlib
import zipfile

import numpy as np
from PIL import Image

from maml_tf.errors import DataMissingError
from maml_tf.tasks.omniglot import DRAWINGS, SIDE

URL = "https://github.com/brendenlake/omniglot/raw/master/python/"
# The checksums are the ones that other libraries' loaders have published for years.
ZIPS = {
    "images_background.zip": {"md5": "68d2efa1b9178cc56df9314c21c6e718", "characters": 964},
    "images_evaluation.zip": {"md5": "6b91aef0f799c5bb55b94e3f2daec811", "characters": 659},
}
PACKED = "omniglot.npz"
ORIGINAL_SIDE = 105


def nearest_28(ink):
    """Resizes bilevel drawings [..., 105, 105] to uint8 [..., 28, 28] with ink 255 and paper 0.

    The authors' script asks Pillow for Lanczos; on bilevel images Pillow silently takes the nearest pixel, so that is
    what the paper's networks saw (PROTOCOL 2.2). Nearest means the pixel under the centre of the new one.
    """
    centres = ((np.arange(SIDE) + 0.5) * ORIGINAL_SIDE / SIDE).astype(int)
    return np.where(ink[..., centres[:, None], centres], 255, 0).astype(np.uint8)


def from_zips(folder, zips=None):
    """Reads the official zips in `folder`.

    Args:
        folder: where the zips lie.
        zips: {file name: {"characters": how many it must hold}}; the official ones by default.

    Returns:
        (images uint8 [C, 20, 28, 28, 1], names) with the classes sorted by name.

    Raises:
        DataMissingError: a zip is unreadable or does not hold what it should; names it.
    """
    drawings = {}
    for name, expected in (zips or ZIPS).items():
        path = pathlib.Path(folder) / name
        found = collections.defaultdict(dict)
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    if member.endswith(".png"):
                        part, alphabet, character, file = member.split("/")[-4:]
                        image = Image.open(io.BytesIO(archive.read(member)))
                        key = f"{part.removeprefix('images_')}/{alphabet}/{character}"
                        found[key][file] = ~np.asarray(image.convert("1"))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataMissingError(f"{path} cannot be read: {error}") from None
        if len(found) != expected["characters"]:
            raise DataMissingError(f"{path} holds {len(found)} characters; {expected['characters']} are expected")
        drawings |= found
    return _stacked(drawings, folder)


def from_packed(folder):
    """Reads the packed mirror `omniglot.npz` (described in data/README.md); returns as `from_zips`."""
    path = pathlib.Path(folder) / PACKED
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [str(name) for name in archive["class_name"]]
            pixels = np.unpackbits(archive["images_packed"], axis=1)[:, : ORIGINAL_SIDE**2]
            class_index, drawer = archive["class_index"], archive["drawer"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataMissingError(f"{path} cannot be read: {error}") from None
    pixels = pixels.reshape(-1, ORIGINAL_SIDE, ORIGINAL_SIDE).astype(bool)
    drawings = collections.defaultdict(dict)
    for image, character, person in zip(pixels, class_index, drawer, strict=True):
        drawings[names[character]][f"{person:02d}"] = image
    return _stacked(drawings, path)


def _stacked(drawings, where):
    names = sorted(drawings)
    for name in names:
        if len(drawings[name]) != DRAWINGS:
            raise DataMissingError(f"{where}: {name} has {len(drawings[name])} drawings; {DRAWINGS} are expected")
    images = np.stack([[drawings[name][file] for file in sorted(drawings[name])] for name in names])
    return nearest_28(images)[..., np.newaxis], names
