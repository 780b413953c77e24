"""Calling a Keras model with explicit weights in place of its own variables."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.errors import UsageError


def functional_call(
    model: keras.Model, params: Sequence[tf.Tensor], x: Any, *more: Any, method: str = "__call__"
) -> Any:
    """The output of `model` on `x`, computed with `params` in place of its trainable variables.

    Nothing is assigned, so gradients flow through `params` to the tensors that they were computed from. Assigning
    adapted weights to a model is how many re-implementations lose the meta-gradient (PROTOCOL 6, TF2 mechanics).

    `model.stateless_call` does the same but requires the variables' own shapes. Here a value may also carry a leading
    task axis, which the layers of `maml_tf.models` accept. Then T adapted copies run as one batched product.

    Args:
        model: a built Keras model.
        params: list of tensors in the order of `model.trainable_variables`, all with or all without a task axis T.
        x: inputs [n, ...], or [T, n, ...] for parameters with a task axis.
        more: further arguments of the method.
        method: the name of another method of the model to call in place of the model itself.

    Returns:
        The model's output, [n, ...] or [T, n, ...].
    """
    with keras.StatelessScope() as scope:
        for variable, value in zip(model.trainable_variables, params, strict=True):
            scope.add_update((variable, value))
        return getattr(model, method)(x, *more)


def weights_of(model: keras.Model) -> list[tf.Tensor]:
    """The current values of `model.trainable_variables`."""
    return [tf.convert_to_tensor(variable) for variable in model.trainable_variables]


def weight_names(model: keras.Model, variables: Sequence[keras.Variable] | None = None) -> list[str]:
    """A unique name for each variable: the path from the model to it, `conv_2/kernel` or `encoder/dense/kernel`.

    The path consists of the names of the layers that hold the variable, and the variable's own. A shared layer is named
    by its first place. The name of the model is a part of the path only where no layer is. The name of a network that
    the model calls `wrapped` is left out too.

    Args:
        model: a built Keras model.
        variables: of the model; by default `model.trainable_variables`.

    Raises:
        UsageError: two of the variables have the same path; the message names it.
    """
    paths = _paths(model)
    variables = model.trainable_variables if variables is None else variables
    names = [paths.get(id(variable)) or str(variable.path) for variable in variables]
    for name, count in Counter(names).items():
        if count > 1:
            raise UsageError(f"{count} weights of the model have the path {name!r}: give their layers different names")
    return names


def names_before_paths(model: keras.Model) -> list[str]:
    """The names of trainable variables in older weight files: layer and variable, numbered where they repeat."""
    seen, names = Counter(), []
    for variable in model.trainable_variables:
        name = "/".join(variable.path.split("/")[-2:])
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def _paths(model):
    """{id of a variable: its path} for every variable of a model."""
    paths: dict[int, str] = {}

    def walk(layer, path):
        for variable in [*layer._trainable_variables, *layer._non_trainable_variables]:
            paths.setdefault(id(variable), f"{path or model.name}/{variable.name}")
        for part in layer._layers:
            walk(part, path if part is getattr(layer, "wrapped", None) else f"{path}/{part.name}".lstrip("/"))

    walk(model, "")
    return paths
