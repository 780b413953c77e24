"""Prepared image sets: one uint8 array on disk, memory-mapped, with a manifest that describes it."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from maml_tf._io import atomic_write
from maml_tf.errors import DataMissingError


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Labelled images, class by class.

    Attributes:
        images: uint8 [C, M, height, width, channels]: M images of each of C classes; memory-mapped if read from disk.
        class_names: C names.
        source: where the images come from: name, origin, sha256 of the prepared array.
    """

    images: np.ndarray
    class_names: tuple[str, ...]
    source: dict

    def select(self, classes: slice | Sequence[int] | np.ndarray) -> "ImageSet":
        """The classes with these indices, in this order. A slice of a memory-mapped set is memory-mapped too."""
        names = np.array(self.class_names)[classes]
        return ImageSet(self.images[classes], tuple(names.tolist()), self.source)


def write_image_set(
    folder: str | os.PathLike,
    name: str,
    images: np.ndarray | Iterable[np.ndarray],
    class_names: Sequence[str],
    origin: str,
) -> ImageSet:
    """Writes `<name>.npy` and then its manifest `<name>.json`, without which the array is not used.

    Earlier files of that name stay until the new array is complete.

    Args:
        folder: the folder of prepared sets.
        name: "omniglot", ...
        images: uint8 [C, M, height, width, channels], or an iterator over the C classes if they may not fit into
            memory.
        class_names: C names.
        origin: what the images were made from and its checksum, in words, for the manifest and every result.

    Returns:
        The ImageSet, opened by `read_image_set`.

    Raises:
        ValueError: the classes are not C arrays of uint8 of one shape.
    """
    array_file, manifest_file = _files(folder, name)
    with atomic_write(array_file, "wb") as file:
        shape = _write_classes(file, images, len(class_names))
        manifest_file.unlink(missing_ok=True)
    manifest = {
        "name": name,
        "origin": origin,
        "sha256": file_sha256(array_file),
        "shape": shape,
        "class_names": list(class_names),
    }
    with atomic_write(manifest_file) as file:
        json.dump(manifest, file, indent=1)
    return read_image_set(folder, name)


def _write_classes(file, classes, num_classes):
    """Writes the array in NumPy's file format, one class after another; returns its shape."""
    shape, written = None, 0
    for images in classes:
        if shape is None:
            shape = [num_classes, *images.shape]
            header = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, header)
        if images.dtype != np.uint8 or list(images.shape) != shape[1:]:
            raise ValueError(f"class {written} is {images.dtype} {list(images.shape)}, not uint8 {shape[1:]}")
        file.write(np.ascontiguousarray(images).data)
        written += 1
    if written != num_classes:
        raise ValueError(f"there are {written} classes of images for {num_classes} names")
    return shape


def read_image_set(folder: str | os.PathLike, name: str, verify: bool = False) -> ImageSet:
    """Opens a prepared set.

    Args:
        folder: the folder of prepared sets.
        name: "omniglot", ...
        verify: also compare the array's checksum with the manifest's.

    Raises:
        DataMissingError: a file is missing, or is not what the manifest says; names the file and the remedy.
    """
    array_file, manifest_file = _files(folder, name)
    remedy = "`make data` prepares it (see data/README.md)"
    for file in (manifest_file, array_file):
        if not file.exists():
            raise DataMissingError(f"{file} is missing: {remedy}")
    try:
        manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
        images = np.load(array_file, mmap_mode="r", allow_pickle=False)
        shape, names, checksum = manifest["shape"], tuple(manifest["class_names"]), manifest["sha256"]
        source = {key: manifest[key] for key in ("name", "origin", "sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataMissingError(
            f"{array_file} or its manifest is damaged ({error}); remove both, then {remedy}"
        ) from None
    if list(images.shape) != shape or images.dtype != np.uint8 or len(names) != shape[0]:
        raise DataMissingError(
            f"{array_file} holds {images.dtype} {list(images.shape)}, its manifest says uint8 {shape} with "
            f"{len(names)} classes; remove both, then {remedy}"
        )
    if verify and file_sha256(array_file) != checksum:
        raise DataMissingError(f"{array_file} does not have the checksum in its manifest; remove both, then {remedy}")
    return ImageSet(images, names, source)


def file_sha256(*paths: str | os.PathLike) -> str:
    """The SHA-256, in hexadecimal, of the contents of one file or of several in a row."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def _files(folder, name):
    folder = pathlib.Path(folder)
    return folder / f"{name}.npy", folder / f"{name}.json"
