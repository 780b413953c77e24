"""The authors' weights are used only where they are the released ones."""

import hashlib

import pytest

from maml_tf.errors import DataMissingError, UsageError
from maml_tf.models import authors_checkpoint as released
from reproduce.studies.authors_checkpoint import read_released


def test_files_that_are_not_the_released_ones_are_named_with_both_checksums(tmp_path, monkeypatch):
    prefix, other = tmp_path / "model59000", b"something else"
    found = hashlib.sha256(other).hexdigest()
    expected = dict(released.RELEASED_FILES)
    for name in expected:
        with pytest.raises(DataMissingError, match=rf"{name} is missing: `python data/prepare.py authors-checkpoint`"):
            read_released(prefix)
        (tmp_path / name).write_bytes(other)
        with pytest.raises(DataMissingError, match=rf"{name}: its SHA-256 is {found}, {expected[name]} is expected"):
            read_released(prefix)
        monkeypatch.setitem(released.RELEASED_FILES, name, found)  # as if this file were the released one


def test_other_values_are_named_with_both_checksums(tmp_path, monkeypatch):
    path, values = tmp_path / "mine.npz", {"output/bias": "of another training"}
    monkeypatch.setattr(released, "read_authors_checkpoint", lambda _: values)
    monkeypatch.setattr(
        released, "values_sha256", lambda given: "1234" if given is values else released.RELEASED_SHA256
    )
    with pytest.raises(UsageError, match=rf"mine.npz: .* values is 1234, {released.RELEASED_SHA256} is expected"):
        read_released(path)
    monkeypatch.setattr(released, "values_sha256", lambda _: released.RELEASED_SHA256)
    assert read_released(path) is values
