"""YAML files, read strictly: a key that is given twice is an error, not the last of the two."""

import os
import pathlib
import re
from typing import Any

import yaml

from maml_tf.errors import UsageError

# A file of the project has at most a few thousand values. Nested references (`*name`) can stand for billions.
MAX_BYTES, MAX_VALUES = 2_000_000, 200_000


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # pyright: ignore[reportGeneralTypeIssues]
    """Loads plain data and refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float | bool | None):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        "while reading a mapping",
                        node.start_mark,
                        f"the key {key!r} is given twice",
                        key_node.start_mark,
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.2's numbers: `1e-3` is one. PyYAML knows YAML 1.1, where it is a text.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+0123456789.")
)


def read_yaml(path: str | os.PathLike) -> Any:
    """The content of a YAML file.

    Raises:
        UsageError: the file cannot be read, is not valid YAML, has a key twice, or is too large with all its references
            written out; names the file and the line.
    """
    try:
        path = pathlib.Path(path)
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: {path.stat().st_size} bytes are not allowed; expected at most {MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not valid YAML: not UTF-8 ({error})") from None
    return parse_yaml(text, path)


def parse_yaml(text: str, where: str | pathlib.Path) -> Any:
    """The content of a YAML text (see `read_yaml`); `where` names it in messages."""
    try:
        content = yaml.load(text, Loader=_StrictLoader)
        size = _size(content, {}, set())
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where}: not valid YAML: {error}") from None
    except RecursionError:
        raise UsageError(f"{where}: not valid YAML: its lists or mappings are nested too deeply") from None
    if size > MAX_VALUES:
        raise UsageError(f"{where}: {size} values with all references written out; at most {MAX_VALUES} are allowed")
    return content


def _size(value: Any, known: dict[int, int], open_values: set[int]) -> int:
    """The number of values in nested lists and mappings. One that is referred to twice counts twice.

    Args:
        value: what was read.
        known: sizes by identity, so that a reference is counted without being followed again.
        open_values: identities of the values that contain this one.

    Raises:
        ValueError: a value contains itself.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) in open_values:
        raise ValueError("a reference is inside of what it refers to")
    if id(value) not in known:
        open_values.add(id(value))
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known, open_values) for item in items)
        open_values.remove(id(value))
    return known[id(value)]
