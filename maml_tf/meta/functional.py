"""Calling a Keras model with explicit parameters instead of its own variables."""

import keras


def functional_call(model, params, x, *more, method="__call__"):
    """The output of `model` on `x`, computed with `params` in place of its trainable variables.

    Nothing is assigned, so gradients flow through `params` to whatever they were computed from: assigning adapted
    weights into a model is what cuts the meta-gradient in many re-implementations (PROTOCOL 6, TF2 mechanics).

    `model.stateless_call` does the same but insists on the variables' own shapes. Here a value may also carry a leading
    task axis, which the layers of `maml_tf.models` understand, so that T adapted copies run as one batched product.

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
