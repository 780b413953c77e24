"""Integrity of source files: recognising what lies in place of the data, safe reading, and left-over partial files."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from maml_tf.errors import DataMissingError, UsageError

HTML = "an HTML page, not data"
# What often lies in place of the data, by its first bytes (or those from the fifth on).
SIGNATURES = {
    b"version https://git-lfs": "a Git LFS pointer, not the data: `git lfs pull` gets the file that it points to",
    b"PK\x03\x04": "a zip archive, to be unpacked",
    b"\x1f\x8b": "a gzip archive, to be unpacked",
    b"7z\xbc\xaf": "a 7z archive, to be unpacked",
    b"Rar!": "a RAR archive, to be unpacked",
    b"\x89HDF": "an HDF5 file, which is not supported because nothing here reads it",
    b"\x93NUMPY": "a NumPy array, which is not supported because it does not say which class an image is of",
    b"ftypavif": "an AVIF image, which is not supported because not every Pillow reads it: save it as PNG",
    b"ftyphei": "a HEIC image, which is not supported because Pillow does not read it: save it as PNG",
    b"ftypmif1": "a HEIC image, which is not supported because Pillow does not read it: save it as PNG",
}
ARCHIVES = (".zip", ".npz")
PARTIAL_FILES = ".*.part"  # what `maml_tf._io.atomic_write` writes to before it moves a complete file into place


class CorruptFileError(DataMissingError):
    """A source file exists but does not hold what it should; the message names it, its size and the reason."""


def describe(content: bytes) -> str:
    """Says what a wrong file usually is, judging by its first bytes."""
    start = content[:100].lstrip().lower()
    return HTML if start.startswith((b"<!doctype html", b"<html")) else "damaged or incomplete"


def recognise(name: str | pathlib.Path, content: bytes) -> str:
    """As `describe`, and says what else lies under a name that is not that of an archive."""
    if not str(name).endswith(ARCHIVES):
        for signature, what in SIGNATURES.items():
            if content.startswith(signature) or content[4:].startswith(signature):
                return what
    return describe(content)


def corrupt(name: str | pathlib.Path, content: bytes, size: int, reason: object) -> CorruptFileError:
    """The error for content that cannot be what it should be.

    Args:
        name: of the file or of the image in it, for the message.
        content: at least the first 100 bytes.
        size: number of bytes of the whole.
        reason: what is wrong.
    """
    return CorruptFileError(f"{name} ({size} bytes) is {recognise(name, content)}: {reason}")


def file_error(path: str | pathlib.Path, reason: object) -> DataMissingError:
    """The error for a file that cannot be read: a CorruptFileError, or a DataMissingError where there is no file."""
    path = pathlib.Path(path)
    if not path.is_file():
        return DataMissingError(f"{path} is missing")
    with open(path, "rb") as file:
        start = file.read(100)
    return corrupt(path, start, path.stat().st_size, reason)


def read_npz(path: str | pathlib.Path, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Reads arrays from an .npz file without unpickling anything.

    Args:
        path: of the file.
        keys: names of the arrays to read.

    Returns:
        {key: array}, in the order of the keys.

    Raises:
        DataMissingError: the file is missing, cannot be read (CorruptFileError) or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except Exception as error:  # a broken archive can raise nearly anything
        raise file_error(path, error) from None


@contextlib.contextmanager
def lock(folder: pathlib.Path) -> Iterator[None]:
    """Reserves a folder while the block runs. The system releases it too when the process is killed.

    Args:
        folder: created if it does not exist.

    Raises:
        UsageError: another process is writing to the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder}: another process is preparing data there; wait until it has ended") from None
        yield
    finally:
        os.close(descriptor)


def remove_partial_files(folder: pathlib.Path) -> None:
    """Removes the partial files that a killed process has left in a folder or in the folders below it."""
    for path in folder.rglob(PARTIAL_FILES):
        path.unlink()
        print(f"{path}: removed, an earlier preparation was stopped while it wrote this file")
