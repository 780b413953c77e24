"""Reading YAML and JSON mappings into frozen dataclasses, strictly.

An unknown key, a missing key or a wrong type is an error that names the file, the key and what is allowed.

A dataclass may be *tagged*: a base class with the class variables `tag`, the key that tells its subclasses apart, and
`variants`, a registry of the subclasses by the value of that key. Then a mapping is read as the subclass that its tag
names. The value may also be a mapping, one of whose keys names the subclass.
"""

import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from maml_tf._yaml import read_yaml
from maml_tf.errors import UsageError

T = TypeVar("T")


def read_yaml_mapping(path: str | os.PathLike) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UsageError: names the file and the place in it that is wrong.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a mapping of keys is expected at the top level")
    return content


def from_mapping(cls: type[T], mapping: Mapping[str, Any], path: str | os.PathLike, where: str = "") -> T:
    """Builds a frozen dataclass from a mapping, checking every key and type.

    Args:
        cls: a dataclass whose annotations are bool, int, float, str, None, Any, Literal, tuple[x, ...], dict[str, x],
            other dataclasses (also tagged), or unions of these.
        mapping: the content of the file.
        path: the file, for messages.
        where: dotted key of the mapping inside the file, for messages.

    Raises:
        UsageError: names file, key and what is allowed.
    """
    at = f"{path}: {where}" if where else f"{path}"
    if not isinstance(mapping, dict):
        raise UsageError(f"{at}: a mapping with the keys {', '.join(fields_of(cls))} is expected, not {mapping!r}")
    if hasattr(cls, "variants"):
        cls = _variant(cls, mapping, path, where)
    fields = fields_of(cls)
    for key in mapping:
        if key not in fields:
            raise UsageError(f"{at}: unknown key {key!r}; allowed are {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], path, _inside(where, name))
        elif field.default is dataclasses.MISSING:
            raise UsageError(f"{at}: the key {name!r} is missing")
    try:
        return cls(**values)
    except UsageError as error:
        raise UsageError(f"{at}: {error}") from None


def fields_of(cls: type) -> dict[str, dataclasses.Field]:
    """The fields of a dataclass by name."""
    return {field.name: field for field in dataclasses.fields(cls)}


def given(value: Any) -> Any:
    """A dataclass as a mapping without the values that are at their default."""
    if not dataclasses.is_dataclass(value):
        return value
    values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: given(item) for name, item in values.items() if item != fields_of(type(value))[name].default}


def allowed_variants(cls: Any) -> dict[str, Any]:
    """The registered subclasses of a tagged dataclass, or the dataclass itself, by the value of the tag."""
    return {name: variant for name in cls.variants if issubclass(variant := cls.variants[name], cls)}


def _variant(cls: Any, mapping: Mapping[str, Any], path: str | os.PathLike, where: str) -> Any:
    allowed = allowed_variants(cls)
    if cls.tag not in mapping:
        at = f"{path}: {where}" if where else f"{path}"
        raise UsageError(f"{at}: the key {cls.tag!r} is missing; allowed are {', '.join(map(repr, allowed))}")
    name = mapping[cls.tag]
    if isinstance(name, dict):  # {folder: ...} is read as the variant "folder"
        name = next((key for key in name if key in allowed), name)
    if not isinstance(name, str) or name not in allowed:
        expected = _one_of(allowed)
        raise UsageError(f"{path}: {_inside(where, cls.tag)}: {name!r} is not allowed; expected {expected}")
    return allowed[name]


def _inside(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _convert(hint: Any, value: Any, path: str | os.PathLike, where: str) -> Any:
    if hint is typing.Any:
        return value
    wrong = UsageError(f"{path}: {where}: {value!r} is not allowed; expected {_describe(hint)}")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(arguments, value, path, where, wrong)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, path, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise wrong
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise wrong
        return tuple(_convert(arguments[0], item, path, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise wrong
        return {str(key): _convert(arguments[1], item, path, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise wrong
    return value


def _convert_union(alternatives: tuple, value: Any, path: str | os.PathLike, where: str, wrong: UsageError) -> Any:
    """A union of dataclasses is told apart by the keys, any other union by trying."""
    candidates = [hint for hint in alternatives if isinstance(hint, type) and dataclasses.is_dataclass(hint)]
    if candidates and isinstance(value, dict):
        best = max(candidates, key=lambda cls: len(set(value) & set(fields_of(cls))))
        return from_mapping(best, value, path, where)
    for hint in alternatives:
        if dataclasses.is_dataclass(hint):
            continue
        try:
            return _convert(hint, value, path, where)
        except UsageError:
            continue
    raise wrong


def _describe(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is typing.Literal:
        return _one_of(arguments)
    if origin is tuple:
        return f"a list of {_describe(arguments[0])}"
    if origin is dict:
        return f"a mapping to {_describe(arguments[1])}"
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return f"a mapping with the keys {', '.join(fields_of(hint))}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text", typing.Any: "anything"}[
        hint
    ]


def _one_of(values: typing.Iterable) -> str:
    return "one of " + ", ".join(map(repr, values))
