"""Parts of a long test, each kept in a file once it is computed, so that a killed test goes on where it was."""

import contextlib
import fcntl
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

import maml_tf
from maml_tf._io import UNREADABLE_NPZ, atomic_write, open_npz
from maml_tf.training.progress import announce


class ResumableTest:
    """Computes the named parts of a test, or reads those that are in a folder.

    Every part has one file, which is written whole. Several processes may test the same model at the same time: a
    part that another process is computing is left to it, and read when it is there.

    Args:
        folder: where the parts are kept; without one they are computed every time.
        depends_on: everything that the numbers depend on, as JSON can write it. Its hash names the subfolder, so parts
            of other weights, data or code are never read.
        label: names the test in the progress lines.
        total: the number of parts, for the progress lines.
    """

    def __init__(self, folder: pathlib.Path | None, depends_on: Mapping[str, Any], label: str, total: int):
        content = json.dumps(depends_on, sort_keys=True, indent=1)
        self.folder = None if folder is None else folder / hashlib.sha256(content.encode()).hexdigest()[:16]
        self.label, self.total, self.done = label, total, 0
        self.seconds_elsewhere = 0.0  # what other processes took for the parts, less the time spent waiting for them
        if self.folder is not None:
            with atomic_write(self.folder / "depends_on.json") as file:
                file.write(content)

    def compute(self, parts: Mapping[str, Callable[[], np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays of several parts that do not depend on each other.

        Args:
            parts: for every part its name, which is also that of its file, and the function that computes it.

        Returns:
            The arrays by name, in the order of `parts`.
        """
        arrays, left_to_others = {}, []
        for name, function in parts.items():
            with self._claimed(name, wait=False) as claimed:
                if claimed:
                    arrays[name] = self._read_or_compute(name, function)
                else:
                    left_to_others.append(name)
        for name in left_to_others:
            started = time.monotonic()
            with self._claimed(name, wait=True):
                self.seconds_elsewhere -= time.monotonic() - started
                arrays[name] = self._read_or_compute(name, parts[name])
        return {name: arrays[name] for name in parts}

    def _read_or_compute(self, name: str, function: Callable[[], np.ndarray]) -> np.ndarray:
        self.done += 1
        where = f"{self.label}: part {self.done} of {self.total}, {name.replace('_', ' ')}"
        path = None if self.folder is None else self.folder / f"{name}.npz"
        if path is not None and path.exists():
            try:
                with open_npz(path) as archive:
                    values, seconds = archive["values"], float(archive["seconds"])
            except UNREADABLE_NPZ as error:
                announce(f"{where}: {path} cannot be read ({error}), computed again")
            else:
                self.seconds_elsewhere += seconds
                announce(f"{where}: read from {path}")
                return values
        started = time.monotonic()
        values = function()
        seconds = time.monotonic() - started
        if path is not None:
            with atomic_write(path, "wb") as file:
                np.savez(file, values=values, seconds=np.float64(seconds))
        announce(f"{where}: computed in {seconds:.0f} s")
        return values

    @contextlib.contextmanager
    def _claimed(self, name: str, wait: bool) -> Iterator[bool]:
        """Locks a part; yields whether it could be locked. The lock of a process that dies is free again."""
        if self.folder is None:
            yield True
            return
        with open(self.folder / f"{name}.lock", "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True


def params_digest(params: Sequence[tf.Tensor]) -> str:
    """The SHA-256 of parameters: of their shapes, types and bits."""
    digest = hashlib.sha256()
    for p in params:
        array = np.ascontiguousarray(p)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def code_digest(*names: str) -> str:
    """The SHA-256 of the Python files of `maml_tf` with these names, and of those in the packages with these names."""
    root = pathlib.Path(maml_tf.__file__).parent
    files = []
    for name in names:
        files += [root / name] if name.endswith(".py") else (root / name).rglob("*.py")
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
