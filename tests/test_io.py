"""Files are written whole; what cannot be written is named, also when the disk is full."""

import resource

import numpy as np
import pytest

from maml_tf._io import UNREADABLE_NPZ, atomic_write, check_writable, open_npz, parse_json
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


def test_json_with_a_key_twice_or_nested_too_deeply_is_refused():
    assert parse_json('{"a": [1, {"b": 2}]}') == {"a": [1, {"b": 2}]}
    for text, message in (
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' is given twice"),
        ('[{"b": {"c": 1, "c": 2}}]', "the key 'c' is given twice"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "Expecting property name"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_json(text)


def test_what_is_no_npz_raises_what_readers_expect(tmp_path):
    np.savez(tmp_path / "whole.npz", a=np.arange(1000))
    with open_npz(tmp_path / "whole.npz") as archive:
        np.testing.assert_array_equal(archive["a"], np.arange(1000))
    whole = (tmp_path / "whole.npz").read_bytes()
    encrypted = bytearray(whole)
    encrypted[6] |= 1  # the flag of the local header, and that of the directory
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    method = bytearray(whole)
    method[whole.index(b"PK\x01\x02") + 10] = 99
    for name, content in (
        ("empty", b""),
        ("text", b"1 2 3"),
        ("cut", whole[:-30]),
        ("encrypted", bytes(encrypted)),
        ("method", bytes(method)),
        ("changed", whole[:500] + b"\xff" * 100 + whole[600:]),
    ):
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(UNREADABLE_NPZ), open_npz(tmp_path / f"{name}.npz") as archive:
            archive["a"]
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(ValueError, match="a single array"):
        open_npz(tmp_path / "single.npy")
