"""Calling a Keras model with explicit weights in place of its own variables."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


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


def weight_names(model: keras.Model) -> list[str]:
    """A unique name for each trainable variable: its layer's name and its own, such as `conv_2/kernel`.

    Where two variables of a model would get the same name, the later ones get a number: `dense/kernel_2`.
    """
    seen, names = Counter(), []
    for variable in model.trainable_variables:
        name = "/".join(variable.path.split("/")[-2:])
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names
