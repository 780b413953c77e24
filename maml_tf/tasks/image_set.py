"""Prepared image sets: one uint8 array on disk, memory-mapped, with a manifest that describes it."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from maml_tf._io import atomic_write, parse_json
from maml_tf.errors import DataMissingError


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Labelled images, class by class.

    Attributes:
        images: uint8 [C, M, height, width, channels]: M images of each of C classes; memory-mapped if read from disk.
            Where the classes differ in their numbers of images: a list of C arrays [M, height, width, channels].
        class_names: C names.
        source: where the images come from: name, origin, sha256 of the prepared array.
    """

    images: Any  # an array, or a list of arrays
    class_names: tuple[str, ...]
    source: dict

    def select(self, classes: slice | Sequence[int] | np.ndarray) -> "ImageSet":
        """The classes with these indices, in this order. A slice of a memory-mapped set is memory-mapped too."""
        names = np.array(self.class_names)[classes]
        if isinstance(self.images, list):
            images = [self.images[index] for index in np.arange(len(self.images))[classes]]
        else:
            images = self.images[classes]
        return ImageSet(images, tuple(names.tolist()), self.source)


def write_image_set(
    folder: str | os.PathLike,
    name: str,
    images: np.ndarray | Iterable[np.ndarray],
    class_names: Sequence[str],
    origin: str,
    counts: Sequence[int] | None = None,
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
        counts: the number of images of each class, where the classes may differ in it.

    Returns:
        The ImageSet, opened by `read_image_set`.

    Raises:
        ValueError: the classes are not C arrays of uint8 of one shape.
    """
    array_file, manifest_file = _files(folder, name)
    with atomic_write(array_file, "wb") as file:
        shape = _write_classes(file, images, len(class_names), counts)
        manifest_file.unlink(missing_ok=True)
    checksum = file_sha256(array_file)
    _keep_checksum(array_file, checksum)
    manifest = {
        "name": name,
        "origin": origin,
        "sha256": checksum,
        "shape": shape,
        "class_names": list(class_names),
    }
    if counts is not None:
        manifest["counts"] = list(map(int, counts))
    with atomic_write(manifest_file) as file:
        json.dump(manifest, file, indent=1)
    return read_image_set(folder, name)


def _write_classes(file, classes, num_classes, counts=None):
    """Writes the array in NumPy's file format, one class after another; returns its shape.

    The images of classes of unequal size are in one row: [all images, height, width, channels].
    """
    shape, written = None, 0
    for images in classes:
        if shape is None:
            shape = [num_classes, *images.shape] if counts is None else [sum(counts), *images.shape[1:]]
            header = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, header)
        expected = shape[1:] if counts is None else [counts[written], *shape[1:]]
        if images.dtype != np.uint8 or list(images.shape) != expected:
            raise ValueError(f"class {written} is {images.dtype} {list(images.shape)}, not uint8 {expected}")
        file.write(np.ascontiguousarray(images).data)
        written += 1
    if written != num_classes:
        raise ValueError(f"there are {written} classes of images for {num_classes} names")
    return shape


def read_image_set(folder: str | os.PathLike, name: str, verify: bool = False) -> ImageSet:
    """Opens a prepared set and compares its checksum with the manifest's.

    A checksum that was computed is kept next to the array, in `.<name>.checksum.json`, with the array's size and time
    stamps. It is computed again when one of them has changed.

    Args:
        folder: the folder of prepared sets.
        name: "omniglot", ...
        verify: compute the checksum in any case.

    Raises:
        DataMissingError: a file is missing, or is not what the manifest says; names the file and the remedy.
    """
    array_file, manifest_file = _files(folder, name)
    remedy = "`make data` prepares it (see data/README.md)"
    for file in (manifest_file, array_file):
        if not file.exists():
            raise DataMissingError(f"{file} is missing: {remedy}")
    try:
        manifest = parse_json(manifest_file.read_text(encoding="utf-8"))
        images = np.load(array_file, mmap_mode="r", allow_pickle=False)
        shape, names, checksum = manifest["shape"], tuple(manifest["class_names"]), manifest["sha256"]
        source = {key: manifest[key] for key in ("name", "origin", "sha256")}
        counts = manifest.get("counts")
        num_classes, num_images = (shape[0], None) if counts is None else (len(counts), sum(counts))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataMissingError(
            f"{array_file} or its manifest is damaged ({error}); remove both, then {remedy}"
        ) from None
    consistent = len(names) == num_classes and num_images in (None, shape[0])
    if list(images.shape) != shape or images.dtype != np.uint8 or not consistent:
        raise DataMissingError(
            f"{array_file} holds {images.dtype} {list(images.shape)}, its manifest says uint8 {shape} with "
            f"{len(names)} classes; remove both, then {remedy}"
        )
    if _checksum(array_file, always=verify) != checksum:
        raise DataMissingError(f"{array_file} does not have the checksum in its manifest; remove both, then {remedy}")
    if counts is not None:
        ends = np.cumsum(counts)
        images = [images[end - count : end] for count, end in zip(counts, ends, strict=True)]
    return ImageSet(images, names, source)


def hashes_of(splits: Mapping[str, ImageSet]) -> dict[str, str]:
    """The SHA-256 of every array that some splits are selected from, by name.

    Args:
        splits: ImageSets by the name of the split. One without a checksum in its `source` is read as a whole.
    """
    hashes = {}
    for split, image_set in splits.items():
        name = str(image_set.source.get("name", split))
        checksum = image_set.source.get("sha256") or _sha256_of(image_set.images)
        hashes[name if hashes.get(name, checksum) == checksum else f"{name} {split}"] = checksum
    return hashes


def _sha256_of(images: Any) -> str:
    """Of all images, with the shape of each class where the classes differ in their numbers of images."""
    digest = hashlib.sha256()
    for part in images if isinstance(images, list) else [images]:
        digest.update(f"{part.shape}".encode() if isinstance(images, list) else b"")
        digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()


def _checksum(array_file: pathlib.Path, always: bool) -> str:
    """The SHA-256 of an array, as it was computed when the file had this size and these time stamps."""
    try:
        kept = parse_json(_checksum_file(array_file).read_text(encoding="utf-8"))
        if not always and kept["file"] == _stamps(array_file):
            return kept["sha256"]
    except (OSError, ValueError, KeyError, TypeError):  # none is kept, or it cannot be read
        pass
    checksum = file_sha256(array_file)
    _keep_checksum(array_file, checksum)
    return checksum


def _keep_checksum(array_file: pathlib.Path, checksum: str) -> None:
    try:
        with atomic_write(_checksum_file(array_file)) as file:
            json.dump({"file": _stamps(array_file), "sha256": checksum}, file)
    except OSError:  # a folder that is only read from
        pass


def _checksum_file(array_file: pathlib.Path) -> pathlib.Path:
    return array_file.with_name(f".{array_file.stem}.checksum.json")


def _stamps(array_file: pathlib.Path) -> dict[str, int]:
    found = array_file.stat()
    # The change time is the system's: a program that writes and then restores the modification time does not set it.
    return {"size": found.st_size, "modified_ns": found.st_mtime_ns, "changed_ns": found.st_ctime_ns}


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
