"""Integrity of source files: what is wrong with a file is named, and partial files of a killed process disappear."""

import subprocess
import sys

import integrity
import numpy as np
import pytest

from maml_tf._io import atomic_write
from maml_tf.errors import DataMissingError, UsageError


def test_a_file_of_something_else_is_corrupt_and_an_absent_one_is_missing(tmp_path):
    path = tmp_path / "file.zip"
    error = integrity.file_error(path, "unused")
    assert type(error) is DataMissingError
    assert str(error) == f"{path} is missing"
    for content, description in ((b" <!DOCTYPE HTML>", integrity.HTML), (b"PK", "damaged or incomplete")):
        path.write_bytes(content)
        error = integrity.file_error(path, "the reason")
        assert isinstance(error, integrity.CorruptFileError)
        assert str(error) == f"{path} ({len(content)} bytes) is {description}: the reason"


def test_arrays_are_read_in_the_order_of_the_keys_and_never_unpickled(tmp_path):
    path = tmp_path / "file.npz"
    np.savez(path, a=np.arange(2), b=np.arange(3))
    assert list(integrity.read_npz(path, ("b", "a"))) == ["b", "a"]
    with pytest.raises(integrity.CorruptFileError, match="c is not a file in the archive"):
        integrity.read_npz(path, ("a", "c"))
    np.savez(path, a=np.array([object()]))
    with pytest.raises(integrity.CorruptFileError, match="allow_pickle=False"):
        integrity.read_npz(path, ("a",))


def test_one_process_at_a_time_writes_to_a_folder(tmp_path):
    folder = tmp_path / "prepared"
    program = f"""
import pathlib, sys
sys.path[:0] = {sys.path!r}
import integrity
with integrity.lock(pathlib.Path({str(folder)!r})):
    print("locked", flush=True)
    input()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with (
            pytest.raises(UsageError, match="prepared: another process is preparing data there"),
            integrity.lock(folder),
        ):
            pass
        other.kill()
        other.wait()
    for _ in range(2):
        with integrity.lock(folder):
            assert folder.is_dir()


def test_partial_files_are_those_of_atomic_write(tmp_path, capsys):
    below = tmp_path / "authors_checkpoint"
    with atomic_write(below / "array.npy", "wb") as file:
        file.write(b"whole so far")
        file.flush()
        (partial,) = below.iterdir()
        left = partial.with_name(partial.name.replace("array", "other"))
        left.write_bytes(b"of a killed process")
    integrity.remove_partial_files(tmp_path)
    assert [path.name for path in below.iterdir()] == ["array.npy"]
    assert left.name in capsys.readouterr().out
    integrity.remove_partial_files(tmp_path / "absent")
