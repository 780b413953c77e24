"""A package on disk: its manifest, its files and their checksums."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

FORMAT = 1


class PackageError(RuntimeError):
    """The package or a training of it is incomplete, damaged or another one; carries the exit code."""

    def __init__(self, message: str, exit_code: int = 3):
        super().__init__(message)
        self.exit_code = exit_code


class Package:
    """The output of `maml_tf export-training-loop`: manifest, compiled loop, initial states, examples in pieces."""

    def __init__(self, folder: pathlib.Path):
        self.folder = pathlib.Path(folder)
        path = self.folder / "manifest.json"
        try:
            self.manifest = json.loads(path.read_text(encoding="utf-8"))
            if self.manifest["format"] != FORMAT:
                raise PackageError(f"{path}: format {self.manifest['format']!r}: this runner reads format {FORMAT}")
            self.name = f"{self.manifest['spec']} ({self.manifest['profile']})"
            self.iterations, self.snapshot_every = self.manifest["iterations"], self.manifest["snapshot_every"]
            self.initial_states = {int(seed): file for seed, file in self.manifest["initial_states"].items()}
            self.module, self.examples = self.manifest["module"], self.manifest["examples"]
            self.pieces = self.examples["pieces"] if self.examples else []
            self.state, self.arguments = self.manifest["state"], self.manifest["arguments"]
            self.results = self.manifest["results"]
            self.files = [self.module, *self.initial_states.values(), *self.pieces]
            if not all(isinstance(file["file"], str) and isinstance(file["sha256"], str) for file in self.files):
                raise TypeError("files need a name and a checksum")
        except OSError as error:
            raise PackageError(f"{path}: cannot be read ({error.strerror}): is this a package?") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PackageError(f"{path}: not a package's manifest ({type(error).__name__}: {error})") from None
        self.seeds = list(self.initial_states)

    def check_complete(self) -> None:
        """Raises a PackageError that names every file that has not arrived yet, or is damaged."""
        missing = [file["file"] for file in self.files if not (self.folder / file["file"]).exists()]
        if missing:
            raise PackageError(
                f"{self.folder}: {len(missing)} of {len(self.files)} files are missing still: {listed(missing)}"
            )
        with concurrent.futures.ThreadPoolExecutor() as pool:
            checksums = list(pool.map(lambda file: file_sha256(self.folder / file["file"]), self.files))
        damaged = [f["file"] for f, checksum in zip(self.files, checksums, strict=True) if checksum != f["sha256"]]
        if damaged:
            raise PackageError(f"{self.folder}: not as the manifest says, bring them again: {listed(damaged)}")

    def read_initial_state(self, seed: int) -> dict[str, np.ndarray]:
        """{name: array} at iteration 0, and the seed of the task draws as `task_seed`."""
        return read_arrays(self.folder / self.initial_states[seed]["file"])

    def read_examples(self) -> np.ndarray:
        """The array that tasks are cut from: uint8 [classes, images, height, width, channels]."""
        images = np.empty(self.examples["shape"], np.uint8)

        def read(piece):
            part = images[slice(*piece["classes"])]
            part[...] = decode((self.folder / piece["file"]).read_bytes(), piece["encoding"], part.shape)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(read, self.pieces))
        return images


def decode(packed: bytes, encoding: str, shape: Sequence[int]) -> np.ndarray:
    """Undoes the packing of a piece of examples.

    Args:
        packed: bytes, deflated.
        encoding: of what was deflated. "bits": eight pixels of 0 or 255 a byte; "differences": from the pixel above,
            from the one to the left and from the channel before, modulo 256.
        shape: of the uint8 array that is returned.
    """
    values = np.frombuffer(zlib.decompress(packed), np.uint8)
    if encoding == "bits":
        return np.unpackbits(values, count=int(np.prod(shape))).reshape(shape) * np.uint8(255)
    if encoding == "differences":
        values = values.reshape(shape)
        for axis in (-3, -2, -1):
            values = np.cumsum(values, axis=axis, dtype=np.uint8)
        return values
    raise PackageError(f"examples with the encoding {encoding!r}: this runner knows 'bits' and 'differences'")


def file_sha256(path: pathlib.Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.hexdigest()


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz; a PackageError if it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise PackageError(f"{path}: cannot be read ({error})") from None


def write_arrays(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
    """Writes an .npz whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with open(partial, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def listed(items: Iterable[object]) -> str:
    """Items separated by commas, at most 40 of them."""
    items = [str(item) for item in items]
    return ", ".join(items if len(items) <= 40 else [*items[:40], f"and {len(items) - 40} more"])
