"""Files are written whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO

# What NumPy raises on an .npz that is missing, cut short, empty or something else, or lacks an array.
UNREADABLE_NPZ = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Opens a temporary file in the folder of `path` and moves it to `path` only when the block ends without an error.

    Args:
        path: the file to write; its folder is made when missing.
        mode: "w" (UTF-8 text) or "wb".

    Yields:
        The open file.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with open(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        pathlib.Path(partial).unlink(missing_ok=True)
        raise
