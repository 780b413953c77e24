"""Nested structures of tensors: what a user passes in place of one tensor, converted and cast as Keras does.

A structure is a tuple, a list or a dictionary of tensors or NumPy arrays, nested to any depth. A list of Python numbers
is no structure but one array.
"""

from typing import Any

import numpy as np
import tensorflow as tf


def as_tensors(structure: Any, dtype: tf.DType | str | None = None) -> Any:
    """A structure whose leaves are tensors.

    Args:
        structure: a tensor, an array, nested lists of Python numbers, or a structure of these.
        dtype: what floating-point numbers become, by default what they are; Python numbers become float32 then.
            Integers, truth values and strings keep their type.
    """
    if isinstance(structure, dict):
        return {name: as_tensors(part, dtype) for name, part in structure.items()}
    if isinstance(structure, (tuple, list)) and (len(structure) == 0 or _holds_arrays(structure)):
        parts = [as_tensors(part, dtype) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    if structure is None or isinstance(structure, (tf.RaggedTensor, tf.SparseTensor)):
        return structure
    if not isinstance(structure, tf.Tensor):
        structure = tf.convert_to_tensor(_with_known_type(structure))
    return tf.cast(structure, dtype) if dtype is not None and structure.dtype.is_floating else structure


def full_precision(outputs: Any) -> Any:
    """A structure with its half-precision tensors as float32, in which Keras computes losses."""
    half = (tf.float16, tf.bfloat16)
    return tf.nest.map_structure(lambda leaf: tf.cast(leaf, tf.float32) if leaf.dtype in half else leaf, outputs)


def leading_size(structure: Any) -> int:
    """The length of the first axis, which all leaves share."""
    return tf.nest.flatten(structure)[0].shape[0]


def rows(structure: Any, start: int, stop: int) -> Any:
    """Every leaf's rows `start` to `stop` - 1 along the first axis."""
    return tf.nest.map_structure(lambda leaf: None if leaf is None else leaf[start:stop], structure)


def dense(gradient: Any) -> Any:
    """A gradient as a tensor. That of a weight that is gathered from, as by an Embedding, comes as the rows used."""
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient


def in_dtype(number: Any, dtype: tf.DType) -> Any:
    """A factor of tensors of a type: a Python number as it is, since a cast would round it to float32, or a tensor."""
    return number if isinstance(number, float) else tf.cast(number, dtype)


def _holds_arrays(structure):
    """Whether anything in a list is an array, a tensor or a dictionary, and not a Python number or string."""
    return any(
        _holds_arrays(part)
        if isinstance(part, (tuple, list))
        else isinstance(part, dict) or len(getattr(part, "shape", ())) > 0
        for part in structure
    )


def _with_known_type(array):
    """An array of a type that TensorFlow has: objects, such as strings, get their own, and Python numbers float32."""
    if isinstance(array, (int, float, list, tuple)):
        numbers = np.asarray(array)
        return numbers.astype(np.float32) if numbers.dtype == np.float64 else numbers
    if hasattr(array, "__array__") and not isinstance(array, tf.Variable):
        array = np.asarray(array)
    return np.array(array.tolist()) if isinstance(array, np.ndarray) and array.dtype == object else array
