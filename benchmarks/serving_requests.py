"""Requests to the service of examples/serving: good ones, and malformed ones of every kind."""

import base64
import json
from typing import Any

import numpy as np

JSON = {"content-type": "application/json"}
#: (body, headers)
Request = tuple[bytes, dict[str, str]]


def in_base64(array: np.ndarray) -> dict[str, Any]:
    """An array as a field of a request."""
    return {
        "base64": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(),
        "shape": list(array.shape),
        "dtype": array.dtype.name,
    }


def good_fields(inputs: dict[str, Any], seed: int, ways: int = 5, queries: int = 5) -> dict[str, Any]:
    """The fields of a request with random images.

    Args:
        inputs: as GET /model describes them.
        seed: of the images.
        ways: N, classes.
        queries: rows of query_x.
    """
    rng = np.random.default_rng(seed)
    rows, *image = inputs["support_x"]["shape"]
    return {
        "support_x": in_base64(rng.random((rows, *image), dtype=np.float32)),
        "support_y": rng.permutation(np.arange(rows) % ways).tolist(),
        "query_x": in_base64(rng.random((queries, *image), dtype=np.float32)),
    }


def request_of(fields: Any, headers: dict[str, str] | None = None) -> Request:
    """A request with these fields."""
    return json.dumps(fields).encode(), headers or JSON


def malformed(inputs: dict[str, Any], most_bytes: int) -> dict[str, Request]:
    """A request of every kind that must be refused, by kind.

    Args:
        inputs, most_bytes: as GET /model describes them.
    """
    good = good_fields(inputs, 0)
    rows, *image = inputs["support_x"]["shape"]
    nan = np.full((rows, *image), np.nan, np.float32)
    ragged = np.zeros((2, *image)).tolist()
    ragged[1][0] = ragged[1][0][:-1]
    changed: dict[str, dict[str, Any]] = {
        "too few shots": {"support_x": in_base64(nan[1:])},
        "wrong rank": {"query_x": in_base64(nan[0])},
        "wrong image": {"query_x": in_base64(nan[:, 1:])},
        "wrong type": {"query_x": in_base64(nan.astype(np.float64))},
        "not a number": {"support_x": in_base64(nan)},
        "infinite": {"query_x": in_base64(np.full((1, *image), np.inf, np.float32))},
        "ragged rows": {"query_x": ragged},
        "no rows": {"query_x": in_base64(nan[:0])},
        "too many rows": {"query_x": in_base64(np.zeros((101, *image), np.float32))},
        "label outside": {"support_y": [rows, *range(1, rows)]},
        "negative label": {"support_y": [-1, *range(1, rows)]},
        "label a fraction": {"support_y": [0.5, *range(1, rows)]},
        "one-hot labels": {"support_y": np.eye(rows).tolist()},
        "strings": {"support_y": ["a"] * rows},
        "truth values": {"support_y": [True] * rows},
        "null": {"support_x": None},
        "base64 cut off": {"query_x": in_base64(nan) | {"shape": [rows + 1, *image]}},
        "no base64": {"query_x": in_base64(nan) | {"base64": "#"}},
        "unknown field": {"colour": 1},
    }
    requests = {kind: request_of(good | change) for kind, change in changed.items()}
    for name in good:
        requests[f"no {name}"] = request_of({key: value for key, value in good.items() if key != name})
    return requests | {
        "no JSON": (b'{"support_x": ', JSON),
        "no object": (b"[1, 2]", JSON),
        "empty": (b"", JSON),
        "nested too deeply": (b"[" * 10_000, JSON),
        "other text": ("{}".encode("utf-16"), JSON),
        "other content": request_of(good, {"content-type": "text/plain"}),
        "compressed": request_of(good, JSON | {"content-encoding": "gzip"}),
        "too large": (b" " * (most_bytes + 1), JSON),
    }
