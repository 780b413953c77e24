"""mini-ImageNet from folders of images and the split's csv files: ILSVRC-2012 itself, or 84x84 JPEGs made from it."""

import io
import os
import pathlib
import re

import numpy as np
from damage import damaged
from mini_imagenet import BROKEN_IMAGE, FILE_PARTS, FORMATS, SIDE, Source, decode
from mini_imagenet_csv import NAME, read_csv_files
from PIL import Image

from maml_tf.errors import DataMissingError

ILSVRC_NAME = re.compile(r"(n\d{8})_(\d+)\.JPEG", re.IGNORECASE)
LARGEST_ILSVRC_CLASS = 1300


def ready_jpegs(folder, csv_folder):
    """The Source of 84x84 JPEGs that are named as in the csv files and lie anywhere below `folder`.

    Raises:
        DataMissingError: a csv file is missing or damaged, or an image that it lists is not there, or there twice.
    """
    listed = read_csv_files(csv_folder)
    where = {}
    for parent, _, files in os.walk(folder):
        for file in filter(NAME.fullmatch, files):
            if file in where:
                raise DataMissingError(f"{folder}: {file} is there twice, in {where[file].parent} and in {parent}")
            where[file] = pathlib.Path(parent) / file
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
    return _source(folder, "84x84 JPEGs", paths, lambda path: decode(path.read_bytes(), path))


def ilsvrc_images(folder, csv_folder):
    """The Source of ILSVRC-2012 training images, `n01532829_100.JPEG`, in one folder or in one folder a class.

    The number in a csv file's `n0153282900000005.jpg` is no ILSVRC number: it counts, from 1, the class's files in the
    order of their ILSVRC numbers. (Those who made the split do not say so anywhere; it is how others recover the
    images, and in the 100 classes the numbers run from 1 to 1300, the size of the largest ILSVRC classes.) So a class
    that lacks files, or has more than ILSVRC-2012 gave it, would give other images; where the numbers show it, it is
    an error.

    Raises:
        DataMissingError: a csv file is missing or damaged, or a class has too few images or too many.
    """
    folder = pathlib.Path(folder)
    flat = _ilsvrc_files(folder)
    paths = {}
    for split, classes in read_csv_files(csv_folder).items():
        paths[split] = {}
        for wnid, members in classes.items():
            in_order = flat.get(wnid) or _ilsvrc_files(folder / wnid).get(wnid, [])
            places = [int(NAME.fullmatch(name)[2]) for name in members]
            if not max(places) <= len(in_order) <= LARGEST_ILSVRC_CLASS:
                raise DataMissingError(
                    f"{folder}: class {wnid} has {len(in_order)} images {wnid}_*.JPEG; {FILE_PARTS[split]}.csv asks "
                    f"for number {max(places)} of at most {LARGEST_ILSVRC_CLASS}: exactly ILSVRC-2012's are needed"
                )
            paths[split][wnid] = [in_order[place - 1] for place in places]
    return _source(folder, "ILSVRC-2012 images, Lanczos to 84x84, JPEG quality 75", paths, resized)


def resized(path):
    """A full-size image as the authors' script leaves it, uint8 [84, 84, 3].

    Lanczos to 84x84, whatever the aspect ratio, and saved as JPEG with Pillow's default quality, 75 (PROTOCOL 2.6).
    """
    encoded = io.BytesIO()
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(encoded, "JPEG", quality=75)
    except BROKEN_IMAGE as error:
        raise damaged(path, f"it is not a readable image: {error}") from None
    return decode(encoded.getvalue(), path)


def _ilsvrc_files(folder):
    """{class: its files in a folder, by number}."""
    classes = {}
    if folder.is_dir():
        for match in filter(None, map(ILSVRC_NAME.fullmatch, os.listdir(folder))):
            classes.setdefault(match[1], []).append((int(match[2]), folder / match[0]))
    return {wnid: [path for _, path in sorted(numbered)] for wnid, numbered in classes.items()}


def _source(folder, kind, paths, read_image):
    return Source(
        place=str(folder),
        kind=kind,
        files=[path for classes in paths.values() for members in classes.values() for path in members],
        counts={split: {wnid: len(members) for wnid, members in classes.items()} for split, classes in paths.items()},
        read=lambda split, wnid: np.stack([read_image(path) for path in paths[split][wnid]]),
    )
