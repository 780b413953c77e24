"""Files are written whole or not at all, and read without a name or key that is given twice."""

import contextlib
import fcntl
import json
import os
import pathlib
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from maml_tf.errors import UsageError

# What `open_npz` and reading an array raise on an .npz that is missing, cut short, empty, encrypted (RuntimeError) or
# something else, that lacks an array, or whose arrays claim to be larger than the memory.
UNREADABLE_NPZ = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


# In a folder that one process at a time may use.
LOCK = ".lock"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Opens a temporary file in the folder of `path` and moves it to `path` only when the block ends without an error.

    Args:
        path: the file to write; its folder is made when missing.
        mode: "w" (UTF-8 text) or "wb".

    Yields:
        The open file.

    Raises:
        OSError: the file cannot be written, because the disk is full for example; its `filename` is the path.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _named(error, path) from error
    try:
        with open(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except OSError as error:
        pathlib.Path(partial).unlink(missing_ok=True)
        if error.filename is None:  # of this file, not of one that the block reads
            raise _named(error, path) from error
        raise
    except BaseException:
        pathlib.Path(partial).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_saved_model(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Makes a temporary folder next to `path` and moves it there only when the block ends without an error.

    Args:
        path: of a TensorFlow SavedModel. One that is there already is replaced.

    Yields:
        The temporary folder.

    Raises:
        UsageError: something else is at `path`, or its parent folder cannot be written to.
    """
    path = pathlib.Path(path)
    check_writable(path.parent, "the SavedModel's parent folder")
    in_the_way = path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file())
    if in_the_way:
        raise UsageError(f"{path}: is something else than a SavedModel, and is not replaced; expected a new folder")
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as partial:
        new, old = pathlib.Path(partial, "new"), pathlib.Path(partial, "old")
        new.mkdir()
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)


def open_npz(path: str | os.PathLike) -> Any:
    """Opens an .npz to read arrays from, without unpickling anything.

    Returns:
        NumPy's mapping of names to arrays, a context manager.

    Raises:
        One of UNREADABLE_NPZ: there is no such file, it is something else, or it has two arrays of one name.
    """
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        raise ValueError("it holds a single array; expected an .npz of named arrays")
    twice = sorted({name for name in loaded.files if loaded.files.count(name) > 1})
    if twice:
        loaded.close()
        raise ValueError(f"the array {twice[0]!r} is given twice")
    return loaded


def parse_json(text: str, **options: Any) -> Any:
    """The value of a JSON text, as `json.loads` with these options.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, **options)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def lock_or_holder(lock: IO[str]) -> str | None:
    """Locks an open file until it is closed. The system releases it, too, when the process dies.

    Returns:
        None where the file is locked now; otherwise the process that holds it, as it wrote into the file.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        return lock.read().strip() or "process unknown"
    return None


def check_writable(folder: str | os.PathLike, name: str) -> None:
    """Makes a folder and writes a file in it, which is removed again.

    Args:
        folder: that results will be written to.
        name: of the option or argument that says so, for the message.

    Raises:
        UsageError: a file is in the way, or the folder cannot be written to.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{name} {folder}: cannot be written to ({error.strerror}: {error.filename})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is given twice")
    return mapping


def _named(error: OSError, path: pathlib.Path) -> OSError:
    """The error with the path of the file that was to be written."""
    return OSError(error.errno, f"cannot be written ({error.strerror or error})", str(path))
