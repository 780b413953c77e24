"""What a side gets and gives, in whatever environment it runs: nothing of maml_tf and TensorFlow is imported here."""

import importlib.metadata
import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Prepared(NamedTuple):
    """A side, ready to be repeated.

    Attributes:
        run: n -> the result of the last of n repetitions, each of them finished.
        values: result -> arrays that every side must agree on, in our layout; none by default.
        units: result -> how much one repetition did, where sides do different amounts (time steps); 1 by default.
    """

    run: Callable
    values: Callable = lambda result: []
    units: Callable = lambda result: 1


def repeated(function):
    """n -> the last of n results of `function`."""

    def run(repetitions):
        for _ in range(repetitions):
            result = function()
        return result

    return run


def versions_of(*packages):
    """{package: installed version}."""
    return {package: importlib.metadata.version(package) for package in packages}


def read_problem(path):
    """(problem, arrays) of a file: what it is, and weights (`params/<name>`), `support_x`, ..., `query_y` by name."""
    with np.load(path) as archive:
        arrays = dict(archive)
    return json.loads(str(arrays.pop("problem"))), arrays


def weights_of(problem, arrays):
    """{name: weights} in the order in which gradients are returned."""
    return {name: arrays[f"params/{name}"] for name in problem["names"]}


def batch_of(arrays):
    """[support_x, support_y, query_x, query_y], the task axis first."""
    return [arrays[name] for name in ("support_x", "support_y", "query_x", "query_y")]


def hidden_layers(weights):
    """The numbers of a fully connected network's hidden layers, of its weights {name: value}."""
    return range(1, 1 + sum(name.startswith("dense_") and name.endswith("/kernel") for name in weights))


def moving_and_still(problem, weights):
    """The weights {name: value} that the inner loop moves, and the others."""
    moves = dict(zip(problem["names"], problem["adaptable"], strict=True))
    moving = {name: value for name, value in weights.items() if moves[name]}
    return moving, {name: value for name, value in weights.items() if not moves[name]}
