"""Reads the arrays of a request. What is not allowed is refused with the name of the field, the value and what is."""

import base64
import binascii
import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np


class Refused(Exception):  # noqa: N818 - an answer, not a fault of the program
    """A request that is not allowed.

    Attributes:
        field: of the request, or None.
        status: of HTTP.
    """

    def __init__(self, message: str, field: str | None = None, status: int = 400):
        super().__init__(message if field is None else f"{field}: {message}")
        self.field, self.status = field, status


def read_object(body: bytes, fields: Sequence[str]) -> dict[str, Any]:
    """A JSON object that has these fields and no others."""
    try:
        content = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=float)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(f"the request is not JSON in UTF-8: {why}") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise Refused(f"the request has a number that cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise Refused(f"the request is {_kind(content)}; expected an object with the fields {', '.join(fields)}")
    for name in fields:
        if name not in content:
            raise Refused(f"is missing; expected the fields {', '.join(fields)}", name)
    for name in content:
        if name not in fields:
            raise Refused(f"is not allowed; expected the fields {', '.join(fields)}", name[:80])
    return content


def read_array(name: str, value: Any, shape: Sequence[int | None], dtype: np.dtype, most_rows: int) -> np.ndarray:
    """An array of a field: nested lists of numbers, or {"base64": ..., "shape": [...], "dtype": ...}.

    Args:
        name: of the field.
        value: what the request holds.
        shape: that is allowed; None is any size up to `most_rows`.
        dtype: of the result.
        most_rows: see `shape`.
    """
    array = _from_base64(name, value, dtype) if isinstance(value, dict) else _from_lists(name, value)
    expected = [f"1 to {most_rows}" if size is None else size for size in shape]
    fits = array.ndim == len(shape) and all(
        1 <= size <= most_rows if allowed is None else size == allowed
        for size, allowed in zip(array.shape, shape, strict=True)
    )
    if not fits:
        rank = f" (rank {array.ndim}, not {len(shape)})" if array.ndim != len(shape) else ""
        wanted = str(expected).replace("'", "")
        raise Refused(f"shape {list(array.shape)} is not allowed{rank}; expected {wanted} of {dtype.name}", name)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Refused(f"{array[~np.isfinite(array)][0]} is not allowed; expected finite numbers", name)
    if array.dtype.kind not in ("iuf" if dtype.kind == "f" else "iu"):
        raise Refused(f"{_described(array)} are not allowed; expected {dtype.name}", name)
    if dtype.kind != "f" and (array.min() < np.iinfo(dtype).min or array.max() > np.iinfo(dtype).max):
        raise Refused(f"a number is outside the range of {dtype.name}", name)
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if dtype.kind == "f" and not np.isfinite(converted).all():
        wrong = array[~np.isfinite(converted)].flat[0]
        raise Refused(f"{wrong} is not allowed; expected finite numbers of {dtype.name}", name)
    return converted


def check_classes(name: str, labels: np.ndarray, classes: int) -> None:
    """Refuses a label that is no class."""
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise Refused(f"{outside.flat[0]} is not allowed; expected 0 to {classes - 1}, one of {classes} classes", name)


def _from_lists(name: str, value: Any) -> np.ndarray:
    if not isinstance(value, list):
        raise Refused(f"{_kind(value)} is not allowed; expected nested lists of numbers, or base64", name)
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError):
        raise Refused("the rows of the nested lists have different lengths", name) from None
    leaves = value
    for _ in range(array.ndim - 1):
        leaves = itertools.chain.from_iterable(leaves)
    for leaf in leaves:
        if type(leaf) not in (int, float):  # true is no number, and NumPy makes one of it
            raise Refused(f"{_kind(leaf)} is not allowed; expected numbers", name)
    if array.dtype == object:
        raise Refused("a number is larger than 64 bits hold", name)
    return array


def _from_base64(name: str, value: dict[str, Any], dtype: np.dtype) -> np.ndarray:
    if set(value) != {"base64", "shape", "dtype"}:
        raise Refused(f"an object with {sorted(value)[:5]} is not allowed; expected base64, shape and dtype", name)
    if value["dtype"] != dtype.name:
        raise Refused(f"dtype {str(value['dtype'])[:40]!r} is not allowed; expected {dtype.name!r}", name)
    shape = value["shape"]
    if (
        not isinstance(shape, list)
        or len(shape) > 32
        or not all(type(size) is int and 0 <= size < 2**31 for size in shape)
    ):
        raise Refused(
            f"shape {str(shape)[:80]} is not allowed; expected a list of at most 32 whole numbers from 0", name
        )
    try:
        data = base64.b64decode(value["base64"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Refused("base64 cannot be decoded", name) from None
    needed = dtype.itemsize
    for size in shape:
        needed *= size
    if len(data) != needed:
        raise Refused(f"base64 holds {len(data)} bytes; shape {shape[:8]} of {dtype.name} needs {needed}", name)
    return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape)


def _described(array: np.ndarray) -> str:
    return {"f": "fractions, or numbers of more than 64 bits,", "U": "strings", "b": "truth values"}.get(
        array.dtype.kind, array.dtype.name
    )


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise Refused("is given twice", next(name for name in names if names.count(name) > 1)[:80])
    return content
