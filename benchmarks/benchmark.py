"""The interface between the runner and an implementation. Nothing of maml_tf or TensorFlow is imported here."""

import importlib.metadata
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class Benchmark(NamedTuple):
    """An implementation of a workload, ready to be repeated.

    Attributes:
        run: n -> result of the last of n repetitions. All n are finished when it returns.
        values: result -> arrays in our layout, on which all implementations must agree; none by default.
        units: result -> amount of work of a repetition, for workloads where implementations do different amounts
            (time steps of a simulation).
    """

    run: Callable[[int], Any]
    values: Callable[[Any], list[np.ndarray]] = lambda result: []
    units: Callable[[Any], int] = lambda result: 1


def repeated(function: Callable[[], Any]) -> Callable[[int], Any]:
    """n -> the last of n results of `function`."""

    def run(repetitions: int) -> Any:
        result = None
        for _ in range(repetitions):
            result = function()
        return result

    return run


def versions_of(*packages: str) -> dict[str, str]:
    """{package: installed version}."""
    return {package: importlib.metadata.version(package) for package in packages}


def read_problem(path: str | pathlib.Path) -> tuple[dict[str, Any], Arrays]:
    """Reads the file of a problem.

    Returns:
        problem: its description, as `problems.write_problem` makes it.
        arrays: weights (`params/<name>`) and tasks (`support_x`, `support_y`, `query_x`, `query_y`) by name.
    """
    with np.load(path) as archive:
        arrays = dict(archive)
    return json.loads(str(arrays.pop("problem"))), arrays


def in_float64(arrays: Arrays) -> Arrays:
    """The same numbers, of which every implementation computes its result in float64. Class labels stay integers."""
    return {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def weights_of(problem: dict[str, Any], arrays: Arrays) -> Arrays:
    """{name: weights} in the order in which gradients are returned."""
    return {name: arrays[f"params/{name}"] for name in problem["names"]}


def batch_of(arrays: Arrays) -> list[np.ndarray]:
    """[support_x, support_y, query_x, query_y], each with the task axis first."""
    return [arrays[name] for name in ("support_x", "support_y", "query_x", "query_y")]


def hidden_layers(weights: dict[str, Any]) -> range:
    """The numbers of the hidden layers in a fully connected network's weights {name: value}: 1, 2, ..."""
    return range(1, 1 + sum(name.startswith("dense_") and name.endswith("/kernel") for name in weights))


def split_adaptable(problem: dict[str, Any], weights: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits weights {name: value} into those that the inner loop adapts and the others."""
    adaptable = dict(zip(problem["names"], problem["adaptable"], strict=True))
    adapted = {name: value for name, value in weights.items() if adaptable[name]}
    return adapted, {name: value for name, value in weights.items() if not adaptable[name]}
