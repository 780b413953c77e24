"""Files are written whole; what cannot be written is named, also when the disk is full."""

import resource

import numpy as np
import pytest

from maml_tf._io import atomic_write, check_writable
from maml_tf.errors import UsageError


@pytest.fixture
def full_disk():
    """No file may grow beyond 10 kB: a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, full_disk):
    path = tmp_path / "state.npz"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="cannot be written") as told, atomic_write(path, "wb") as file:
        np.savez(file, numbers=np.zeros(10_000))
    assert told.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["state.npz"]


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as told, atomic_write(tmp_path / "new") as file:
        file.write((tmp_path / "missing").read_text())
    assert told.value.filename == str(tmp_path / "missing")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot be written") as told, atomic_write(tmp_path / "file" / "new"):
        pass
    assert told.value.filename == str(tmp_path / "file" / "new")


def test_folders_are_tried_out_before_anything_is_computed(tmp_path):
    check_writable(tmp_path / "new" / "folder", "--runs")
    assert not list((tmp_path / "new" / "folder").iterdir())
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc/runs"):
        with pytest.raises(UsageError, match=r"--runs .*: cannot be written to"):
            check_writable(folder, "--runs")
