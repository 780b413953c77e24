"""A model that was adapted to one task."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from maml_tf.meta.functional import functional_call


class AdaptedModel:
    """A model together with the weights that were adapted to one task.

    Attributes:
        model: the Keras model; its own weights stay unchanged.
        params: list of adapted weights, in the order of `model.trainable_variables`.
    """

    def __init__(self, model: keras.Model, params: Sequence[tf.Tensor]):
        self.model = model
        self.params = list(params)

    def __call__(self, x: Any) -> tf.Tensor:
        """The adapted model's output on x [n, ...]."""
        return functional_call(self.model, self.params, as_tensor(x, self.params[0].dtype))

    def predict(self, x: Any, batch_size: int = 32) -> np.ndarray:
        """The output on x [n, ...] as a NumPy array, computed in batches as `keras.Model.predict` does.

        A model with this library's BatchNorm normalises every batch by itself. Call the adapted model on the whole
        query set instead to get the paper's (transductive) predictions.
        """
        return np.concatenate([self(x[start : start + batch_size]) for start in range(0, len(x), batch_size)])

    def keras_model(self) -> keras.Model:
        """A new Keras model with the adapted weights, to be saved (`.save("adapted.keras")`) or trained further."""
        model = type(self.model).from_config(self.model.get_config())
        model.set_weights(self.model.get_weights())
        for variable, param in zip(model.trainable_variables, self.params, strict=True):
            variable.assign(param)
        return model


def as_tensor(array: Any, dtype: tf.DType) -> tf.Tensor:
    """An array as a tensor; floating-point numbers become `dtype`, labels and bytes stay as they are."""
    tensor = tf.convert_to_tensor(array)
    return tf.cast(tensor, dtype) if tensor.dtype.is_floating else tensor
