"""Your own images: a folder with one folder of image files for each class."""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from maml_tf.errors import DataMissingError, UsageError
from maml_tf.tasks.image_set import ImageSet, read_image_set, write_image_set

IGNORED = {"thumbs.db", "desktop.ini"}  # besides files that begin with a dot
SPLITS = ("train", "validation", "test")
OTHER_NAMES = {"validation": ("validation", "val", "valid")}
BACKGROUND = (255, 255, 255, 255)  # under transparent pixels
SHOWN = 5
SECONDS_BETWEEN_LINES = 10
VERSION = 1  # of the decoding: changes when the same files give other pixels


def read_image_folder(
    folder: str | os.PathLike, image_shape: Sequence[int] = (84, 84, 3), cache: str | os.PathLike | None = None
) -> ImageSet:
    """Reads `folder/class/*`: every folder is a class, every file in it an image of that class.

    Pillow reads the files: PNG, JPEG, WebP, BMP, TIFF, GIF and so on. An image is turned as its EXIF orientation says,
    resized to `image_shape` without keeping its aspect ratio (Lanczos), and converted to grey or to RGB. 16-bit grey is
    divided by 257. Transparent pixels are laid over white. Of several frames the first is taken. Files whose names
    begin with a dot, Thumbs.db and desktop.ini are left out; every other file must be an image.

    Args:
        folder: with one folder for each class. Their names, sorted, are the class names.
        image_shape: (height, width, channels), with 1 channel for grey and 3 for RGB.
        cache: a folder for the prepared array, as `make data` writes it for the built-in data sets. It is used again
            until a file is added, removed, renamed or changed, and memory-mapped. None: the images stay in memory.

    Returns:
        An ImageSet. Where the classes differ in size, its `images` are a list of one array for each class.

    Raises:
        UsageError: `image_shape` is none.
        DataMissingError: the folder holds no classes, or files that are no images; names them.
    """
    height, width, channels = _checked_shape(image_shape)
    folder = pathlib.Path(folder)
    files = _files_by_class(folder)
    key = _fingerprint(folder, files, (height, width, channels))
    name = f"folder_{folder.resolve().name}_{key}"
    if cache is not None:
        try:
            return read_image_set(cache, name)
        except DataMissingError:
            pass  # not prepared yet, or damaged: it is written again
    counts = [len(members) for members in files.values()]
    num_files = sum(counts)
    origin = f"folder {folder.resolve().name}: {num_files} files in {len(files)} folders, {height}x{width}x{channels}"
    decoded = _decoded(files, num_files, (height, width, channels))
    if cache is not None:
        return write_image_set(cache, name, decoded, list(files), origin, counts if len(set(counts)) > 1 else None)
    classes = list(decoded)
    images = np.stack(classes) if len(set(counts)) == 1 else classes
    digest = hashlib.sha256(b"".join(hashlib.sha256(array.tobytes()).digest() for array in classes)).hexdigest()
    return ImageSet(images, tuple(files), {"name": name, "origin": origin, "sha256": digest})


def read_split_folders(
    folder: str | os.PathLike, image_shape: Sequence[int] = (84, 84, 3), cache: str | os.PathLike | None = None
) -> dict[str, ImageSet]:
    """Reads `folder/train/class/*`, `folder/validation/class/*` (or `val`) and `folder/test/class/*`.

    Args:
        folder: with the three folders.
        image_shape, cache: see `read_image_folder`.

    Returns:
        {"train", "validation", "test": ImageSet}.

    Raises:
        DataMissingError: a folder is missing, a class is in two of them, or see `read_image_folder`.
    """
    folder, splits = pathlib.Path(folder), {}
    for split in SPLITS:
        found = [folder / name for name in OTHER_NAMES.get(split, (split,)) if (folder / name).is_dir()]
        if not found:
            raise DataMissingError(
                f"{folder} has no folder {split}: {', '.join(SPLITS)} are expected, each with folders of classes. To "
                "divide the classes of one folder instead, give a split_seed"
            )
        splits[split] = read_image_folder(found[0], image_shape, cache)
    for i, split in enumerate(SPLITS):
        for other in SPLITS[i + 1 :]:
            both = sorted(set(splits[split].class_names) & set(splits[other].class_names))
            if both:
                raise DataMissingError(
                    f"{folder}: {len(both)} classes are in {split} and in {other} ({_shown(both)}); tests of few-shot "
                    "learning need classes that training has not seen. To divide the classes, put the folders of all "
                    "of them into one folder and give a split_seed"
                )
    return splits


def split_classes(
    image_set: ImageSet, seed: int, fractions: Sequence[float] = (0.64, 0.16, 0.2)
) -> dict[str, ImageSet]:
    """Divides the classes of a set into three splits at random.

    Args:
        image_set: with all classes.
        seed: of NumPy's default generator.
        fractions: of the classes for training, validation and test. They are positive and sum to 1.

    Returns:
        {"train", "validation", "test": ImageSet}, no class in two of them, at least one in each.

    Raises:
        UsageError: the fractions are no such numbers, or there are fewer than three classes.
    """
    if len(fractions) != len(SPLITS) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"split: {list(fractions)} is not allowed; expected three positive numbers with the sum 1, for "
            f"{', '.join(SPLITS)}"
        )
    num_classes = len(image_set.class_names)
    if num_classes < len(SPLITS):
        raise UsageError(f"{num_classes} classes cannot be divided into {len(SPLITS)} splits")
    order = np.random.default_rng(seed).permutation(num_classes)
    validation, test = (max(1, round(num_classes * fraction)) for fraction in fractions[1:])
    while validation + test > num_classes - 1:
        validation, test = max(1, validation - 1), max(1, test - 1)
    train = num_classes - validation - test
    parts = np.split(order, [train, train + validation])
    return {split: image_set.select(np.sort(part)) for split, part in zip(SPLITS, parts, strict=True)}


def decode_image(source: str | os.PathLike | bytes, image_shape: Sequence[int]) -> np.ndarray:
    """One image as uint8 [height, width, channels], as `read_image_folder` describes.

    Args:
        source: the path or the content of an image file.
        image_shape: (height, width, channels).

    Raises:
        ValueError, OSError, SyntaxError: it is no image, or of a kind that is not supported; says why.
    """
    height, width, channels = image_shape
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        if image.mode in ("I", "F"):
            raise ValueError(f"images of the mode {image.mode!r} (32-bit numbers) have no range that is known")
        image.load()
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        values = np.asarray(upright).astype(np.float64) / 257.0
        upright = Image.fromarray(np.round(values).astype(np.uint8))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, BACKGROUND), upright)
    upright = upright.convert("L" if channels == 1 else "RGB")
    if upright.size != (width, height):
        upright = upright.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(upright, np.uint8).reshape(height, width, channels)


def _checked_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    shape: tuple[Any, ...] = tuple(image_shape) if isinstance(image_shape, Sequence) else (image_shape,)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in shape)
    if len(shape) != 3 or not whole or shape[2] not in (1, 3):
        raise UsageError(
            f"image_shape: {image_shape!r} is not allowed; expected (height, width, channels) with 1 or 3 channels"
        )
    return shape


def _files_by_class(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The image files of each class, both sorted by name."""
    if not folder.is_dir():
        raise DataMissingError(f"{folder}: there is no such folder of images")
    classes: dict[str, list[pathlib.Path]] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir() and not _is_ignored(path):
            members = sorted((p for p in path.iterdir() if not _is_ignored(p)), key=lambda path: path.name)
            nested = [member for member in members if member.is_dir()]
            if nested:
                raise DataMissingError(
                    f"{nested[0]} is a folder in the folder of a class; only image files are expected"
                )
            if not members:
                raise DataMissingError(f"{path} holds no images; remove it, or put the images of its class into it")
            classes[path.name] = members
    if not classes:
        raise DataMissingError(f"{folder} holds no folders; one folder of image files for each class is expected")
    return classes


def _is_ignored(path: pathlib.Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in IGNORED


def _fingerprint(folder: pathlib.Path, files: dict[str, list[pathlib.Path]], shape: tuple[int, int, int]) -> str:
    """Ten hexadecimal digits that change with the names, sizes and times of the files, and with the shape."""
    digest = hashlib.sha256(f"{VERSION} {shape}".encode())
    for members in files.values():
        for path in members:
            status = path.stat()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:10]


def _decoded(files: dict[str, list[pathlib.Path]], num_files: int, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """The images of each class. Every unreadable file is found before the error that names them."""
    unreadable: list[str] = []
    done, last_line = 0, time.monotonic()
    for members in files.values():
        images = []
        for path in members:
            try:
                images.append(decode_image(path, shape))
            except Exception as error:  # Pillow can raise nearly anything on a broken file
                reason = "no image that Pillow can read" if isinstance(error, Image.UnidentifiedImageError) else error
                unreadable.append(f"{path} ({reason})")
        done += len(members)
        if time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            print(f"reading images: {done} of {num_files}", file=sys.stderr, flush=True)
        if not unreadable:
            yield np.stack(images)
    if unreadable:
        raise DataMissingError(
            f"{len(unreadable)} of {num_files} files cannot be read as images: {_shown(unreadable)}. Repair them, or "
            "move them out of the folder"
        )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
