"""mini-ImageNet from image files and the split's csv files: from ILSVRC-2012, or from 84x84 JPEGs made of it."""

import io
import os
import pathlib
import re
from collections.abc import Callable

import numpy as np
from integrity import file_error
from mini_imagenet import BROKEN_IMAGE, FILE_PARTS, FORMATS, SIDE, Source, decode
from mini_imagenet_csv import read_csv_files
from PIL import Image

from maml_tf.errors import DataMissingError

# As the csv files name an image; a copy may be in another format, and say so.
COPY_NAME = re.compile(r"(n\d{16})\.(jpe?g|png|webp|bmp|gif|tiff?)", re.IGNORECASE)
ILSVRC_NAME = re.compile(r"(n\d{8})_(\d+)\.JPEG", re.IGNORECASE)
LARGEST_ILSVRC_CLASS = 1300


def ready_jpegs(folder: str | pathlib.Path, csv_folder: str | pathlib.Path) -> Source:
    """Opens images that have the names of the csv files: of 84x84 pixels, or of their original size.

    Images of another size are resized as those of ILSVRC-2012 are.

    Args:
        folder: holds the images, itself or in folders below it.
        csv_folder: holds the csv files.

    Raises:
        DataMissingError: a csv file is missing or damaged, or an image of it is missing or exists twice.
    """
    listed = read_csv_files(csv_folder)
    where: dict[str, pathlib.Path] = {}
    for parent, _, files in os.walk(folder):
        for file in filter(COPY_NAME.fullmatch, files):
            name = f"{file[:17]}.jpg"
            if name in where:
                raise DataMissingError(f"{folder}: {name} is there twice, in {where[name].parent} and in {parent}")
            where[name] = pathlib.Path(parent) / file
    if not where and any(ILSVRC_NAME.fullmatch(file) for _, _, files in os.walk(folder) for file in files):
        raise DataMissingError(
            f"{folder} holds images with the names of ILSVRC-2012, such as n01532829_100.JPEG: give it as --imagenet"
        )
    paths = {}
    for split, classes in listed.items():
        names = [name for members in classes.values() for name in members]
        absent = [name for name in names if name not in where]
        if absent:
            raise DataMissingError(
                f"{folder} lacks {len(absent)} of the {len(names)} images in {FILE_PARTS[split]}.csv, "
                f"the first is {absent[0]}"
            )
        paths[split] = {wnid: [where[name] for name in members] for wnid, members in classes.items()}
    first = next(path for classes in paths.values() for members in classes.values() for path in members)
    if _size(first) not in (None, (SIDE, SIDE)):
        kind = "images of original size named as in the csv files, Lanczos to 84x84, JPEG quality 75"
        return _source(folder, kind, paths, resized)
    return _source(folder, "84x84 JPEGs", paths, lambda path: decode(path.read_bytes(), path))


def ilsvrc_images(folder: str | pathlib.Path, csv_folder: str | pathlib.Path) -> Source:
    """Opens the training images of ILSVRC-2012, `n01532829_100.JPEG`.

    The number in a csv file's `n0153282900000005.jpg` is not the ILSVRC number. It is the position, from 1, among the
    class's files in the order of their ILSVRC numbers. The makers of the split do not document this. It is how others
    recover the images, and the numbers of the 100 classes run from 1 to 1300, the size of the largest ILSVRC classes.
    A class with files missing or added would therefore give other images. This is an error where the numbers show it.

    Args:
        folder: holds the images, all in one folder or one folder a class.
        csv_folder: holds the csv files.

    Raises:
        DataMissingError: a csv file is missing or damaged, or a class has too few images or too many.
    """
    folder = pathlib.Path(folder)
    flat = _ilsvrc_files(folder)
    paths = {}
    if not flat and any(COPY_NAME.fullmatch(file) for _, _, files in os.walk(folder) for file in files):
        raise DataMissingError(
            f"{folder} holds images named as in the csv files, such as n0153282900000005.jpg: give it as --jpegs"
        )
    for split, classes in read_csv_files(csv_folder).items():
        paths[split] = {}
        for wnid, members in classes.items():
            in_order = flat.get(wnid) or _ilsvrc_files(folder / wnid).get(wnid, [])
            positions = [int(name[9:17]) for name in members]  # the csv reader has checked the names
            if not max(positions) <= len(in_order) <= LARGEST_ILSVRC_CLASS:
                raise DataMissingError(
                    f"{folder}: class {wnid} has {len(in_order)} images {wnid}_*.JPEG; {FILE_PARTS[split]}.csv asks "
                    f"for number {max(positions)} of at most {LARGEST_ILSVRC_CLASS}: exactly ILSVRC-2012's are needed"
                )
            paths[split][wnid] = [in_order[position - 1] for position in positions]
    return _source(folder, "ILSVRC-2012 images, Lanczos to 84x84, JPEG quality 75", paths, resized)


def _size(path: pathlib.Path) -> tuple[int, int] | None:
    """The width and height of an image; None where it cannot be read, which is said when its turn comes."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except BROKEN_IMAGE:
        return None


def resized(path: pathlib.Path) -> np.ndarray:
    """Resizes a full-size image as the authors' script does (PROTOCOL 2.6).

    Lanczos to 84x84 without keeping the aspect ratio, then saved as JPEG with Pillow's default quality, 75.

    Returns:
        uint8 [84, 84, 3].
    """
    encoded = io.BytesIO()
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(encoded, "JPEG", quality=75)
    except BROKEN_IMAGE as error:
        raise file_error(path, f"it is not a readable image: {error}") from None
    return decode(encoded.getvalue(), path)


def _ilsvrc_files(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """{class: its files in a folder, by number}."""
    classes: dict[str, list[tuple[int, pathlib.Path]]] = {}
    if folder.is_dir():
        for match in filter(None, map(ILSVRC_NAME.fullmatch, os.listdir(folder))):
            classes.setdefault(match[1], []).append((int(match[2]), folder / match[0]))
    return {wnid: [path for _, path in sorted(numbered)] for wnid, numbered in classes.items()}


def _source(
    folder: str | pathlib.Path,
    kind: str,
    paths: dict[str, dict[str, list[pathlib.Path]]],
    read_image: Callable[[pathlib.Path], np.ndarray],
) -> Source:
    return Source(
        folder=str(folder),
        kind=kind,
        files=[path for classes in paths.values() for members in classes.values() for path in members],
        counts={split: {wnid: len(members) for wnid, members in classes.items()} for split, classes in paths.items()},
        read=lambda split, wnid: np.stack([read_image(path) for path in paths[split][wnid]]),
    )
