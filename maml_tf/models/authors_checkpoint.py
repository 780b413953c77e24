"""The weights that the authors released: mini-ImageNet 5-way 1-shot, iteration 59000 of a run of their own code."""

import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ
from maml_tf.errors import UsageError

# Our variable: the authors' name in their TensorFlow checkpoint, and in copies of it as .npz. Their biases are unnamed
# variables in the order of creation.
NAMES = (
    {f"conv_{i}/kernel": (f"model/conv{i}", f"conv{i}") for i in (1, 2, 3, 4)}
    | {f"conv_{i}/bias": ("model/Variable" + (f"_{i - 1}" if i > 1 else ""), f"b{i}") for i in (1, 2, 3, 4)}
    | {f"norm_{i}/beta": (f"model/{i - 1}/beta", f"beta{i}") for i in (1, 2, 3, 4)}
    | {"output/kernel": ("model/w5", "w5"), "output/bias": ("model/b5", "b5")}
)
# Of the released values, float32, in the order of NAMES: the same whatever file they come in.
RELEASED_SHA256 = "4d57dee7ba8f956df8ec71dec325008ddcd0898176caeac06087c1c2513fe14b"


def read_authors_checkpoint(path):
    """Reads a checkpoint of the authors' code for its mini-ImageNet network.

    Kernels are in TensorFlow's own layout and need no transposition; there is neither a scale nor a moving average.

    Args:
        path: the prefix of a TensorFlow checkpoint (`model59000` for `model59000.index` and
            `model59000.data-00000-of-00001`), or an .npz with the same arrays.

    Returns:
        {name as in `maml_tf.meta.functional.weight_names`: float32 array}, for a MiniImagenetConv.

    Raises:
        UsageError: there is no such checkpoint, it is damaged, or a tensor is missing in it.
    """
    path = pathlib.Path(path)
    read = _read_npz if path.suffix == ".npz" else _read_tensorflow
    return {name: read(path, *theirs) for name, theirs in NAMES.items()}


def values_sha256(weights):
    """SHA-256 of the weights' values, to compare with RELEASED_SHA256."""
    values = b"".join(np.ascontiguousarray(weights[name], "<f4").tobytes() for name in NAMES)
    return hashlib.sha256(values).hexdigest()


def _read_tensorflow(path, name, _):
    try:
        return tf.train.load_checkpoint(str(path)).get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path}: not a checkpoint of the authors' network ({name}: {reason})") from None


def _read_npz(path, _, name):
    try:
        with np.load(path) as archive:
            return archive[name]
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: not a checkpoint of the authors' network ({name}: {error})") from None
