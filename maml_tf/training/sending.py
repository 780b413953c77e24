"""A learner as bytes, for workers in other processes: also with a user's own model and functions."""

from __future__ import annotations

import io
import pathlib
import pickle
import tempfile
from typing import Any

import cloudpickle
import keras
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.functional import weight_names


def to_bytes(value: Any, model: keras.Model) -> bytes:
    """An object that uses a model, as bytes.

    The model is saved as Keras saves it, with the classes of its layers and all registered objects. What the object
    holds of the model (layers, variables) is found again in the copy.

    Args:
        value: the object.
        model: the Keras model that it uses.

    Raises:
        UsageError: the model or the object cannot be copied in this way.
    """
    try:
        saved = _saved(model)
        custom = _custom_objects(model)
        content = io.BytesIO()
        _Pickler(content, model).dump(value)
        sent = cloudpickle.dumps((saved, custom, content.getvalue()))
        from_bytes(sent)
    except UsageError:
        raise
    except Exception as error:  # what a user's classes raise can be nearly anything
        told = " ".join(str(error).split())[:200]
        raise UsageError(
            f"workers: the learner with the model {model.name} cannot be sent to other processes "
            f"({type(error).__name__}: {told}). A layer or model of your own needs a get_config, and functions that it "
            "uses need keras.saving.register_keras_serializable"
        ) from error
    return sent


def from_bytes(sent: bytes) -> Any:
    """The object of `to_bytes`, with a copy of its model."""
    saved, custom, content = cloudpickle.loads(sent)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        path.write_bytes(saved["file"])
        # The classes come from the program that trains, as the rest of the bytes does.
        model: Any = keras.models.load_model(path, custom_objects=custom, compile=False, safe_mode=False)
    for layer, trainable in zip(model._flatten_layers(), saved["trainable"], strict=True):
        if layer.trainable != trainable:
            layer.trainable = trainable
    if _description(model) != saved["variables"]:
        raise ValueError("the copy that Keras makes of it from its get_config has other variables")
    return _Unpickler(io.BytesIO(content), model).load()


def _saved(model: keras.Model) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        content = path.read_bytes()
    trainable = [layer.trainable for layer in model._flatten_layers()]
    return {"file": content, "trainable": trainable, "variables": _description(model)}


def _description(model: keras.Model) -> list[tuple]:
    """Names, shapes and types of the model's variables."""
    names = [*weight_names(model), *(variable.path for variable in model.non_trainable_variables)]
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    return [
        (name.rpartition("/")[2], tuple(variable.shape), str(variable.dtype))
        for name, variable in zip(names, variables, strict=True)
    ]


def _custom_objects(model: keras.Model) -> dict[str, Any]:
    """What Keras must know to load the model: every registered object, and the classes of its layers."""
    known = dict(keras.saving.get_custom_objects())
    for layer in model._flatten_layers():
        if not type(layer).__module__.startswith("keras."):
            known[type(layer).__name__] = known[keras.saving.get_registered_name(type(layer))] = type(layer)
    return known


class _Pickler(cloudpickle.CloudPickler):
    """Leaves out a model, its layers and its variables."""

    def __init__(self, file: io.BytesIO, model: keras.Model):
        super().__init__(file)
        parts = _parts(model)
        self._keys = {id(part): key for key, part in parts.items()}
        self._parts = parts  # keeps the ids valid

    def persistent_id(self, obj: Any) -> Any:
        """The place of a part of the model."""
        return self._keys.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        """Tensors as arrays; losses with all that they hold, which Keras' own copies of some of them forget."""
        if isinstance(obj, tf.Tensor):
            return tf.constant, (obj.numpy(),)
        if isinstance(obj, keras.losses.Loss):
            return object.__new__, (type(obj),), obj.__dict__
        return super().reducer_override(obj)


class _Unpickler(pickle.Unpickler):
    """Puts the parts of another model in their places."""

    def __init__(self, file: io.BytesIO, model: keras.Model):
        super().__init__(file)
        self._parts = _parts(model)

    def persistent_load(self, pid: Any) -> Any:
        """The part of the model at a place."""
        return self._parts[pid]


def _parts(model: keras.Model) -> dict[tuple[str, int], Any]:
    layers, variables = model._flatten_layers(), model.variables
    parts = {("layer", index): layer for index, layer in enumerate(layers)}
    return parts | {("variable", index): variable for index, variable in enumerate(variables)} | {("model", 0): model}
