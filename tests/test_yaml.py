"""YAML files are read strictly."""

import pytest

from maml_tf._yaml import read_yaml
from maml_tf.errors import UsageError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"file.yaml: not valid YAML: .*\n.*line 1.*\nthe key 'a' is given twice\n.*line 3"),
        ("- {a: 1, a: 1}", "the key 'a' is given twice"),
        ("outer: {inner: {1: x, 1: y}}", "the key 1 is given twice"),
        ("a: [1", "file.yaml: not valid YAML"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_line(tmp_path, text, message):
    (tmp_path / "file.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_yaml(tmp_path / "file.yaml")


def test_a_file_that_is_missing_or_not_utf8_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere.yaml: cannot be read"):
        read_yaml(tmp_path / "nowhere.yaml")
    (tmp_path / "file.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UsageError, match=r"file.yaml: not valid YAML"):
        read_yaml(tmp_path / "file.yaml")


def test_plain_data_comes_back(tmp_path):
    (tmp_path / "file.yaml").write_text("a: {b: [1, 2.5, null, x]}\n1: y\nbase: &base {c: 1}\nd: *base")
    assert read_yaml(tmp_path / "file.yaml") == {
        "a": {"b": [1, 2.5, None, "x"]},
        1: "y",
        "base": {"c": 1},
        "d": {"c": 1},
    }
