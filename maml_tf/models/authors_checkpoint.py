"""The weights that the authors released: mini-ImageNet 5-way 1-shot, iteration 59000 of a run of their code."""

import hashlib
import os
import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ, open_npz
from maml_tf.errors import UsageError

# For each of our weights the authors' name in their TensorFlow checkpoint, and in copies of it as .npz. Their biases
# are unnamed variables, numbered in the order of creation.
NAMES = (
    {f"conv_{i}/kernel": (f"model/conv{i}", f"conv{i}") for i in (1, 2, 3, 4)}
    | {f"conv_{i}/bias": ("model/Variable" + (f"_{i - 1}" if i > 1 else ""), f"b{i}") for i in (1, 2, 3, 4)}
    | {f"norm_{i}/beta": (f"model/{i - 1}/beta", f"beta{i}") for i in (1, 2, 3, 4)}
    | {"output/kernel": ("model/w5", "w5"), "output/bias": ("model/b5", "b5")}
)
# SHA-256 of the released files, a TensorFlow checkpoint.
RELEASED_FILES = {
    "model59000.index": "1aa0796e828abfecda13d14b8edae381ec2fc00b190a0aee985d05dba4814c4f",
    "model59000.data-00000-of-00001": "f7e14e6f544371a562441d378f4bc5765431008400cc07a16ad5ed488ea9dea0",
}
# Of the released values, float32, in the order of NAMES. It does not depend on the file format.
RELEASED_SHA256 = "4d57dee7ba8f956df8ec71dec325008ddcd0898176caeac06087c1c2513fe14b"


def read_authors_checkpoint(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a checkpoint of the authors' code for its mini-ImageNet network.

    Kernels are in TensorFlow's layout and need no transposition. There are no scales and no moving averages.

    Args:
        path: the prefix of a TensorFlow checkpoint (`model59000` for `model59000.index` and
            `model59000.data-00000-of-00001`), or an .npz with the same arrays.

    Returns:
        {name as in `maml_tf.meta.functional.weight_names`: float32 array}, for a MiniImagenetConv.

    Raises:
        UsageError: the checkpoint or a tensor in it is missing or damaged; the message names it.
    """
    path = pathlib.Path(path)
    read = _read_npz if path.suffix == ".npz" else _read_tensorflow
    return {name: read(path, *theirs) for name, theirs in NAMES.items()}


def values_sha256(weights: Mapping[str, np.ndarray]) -> str:
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
        with open_npz(path) as archive:
            return archive[name]
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: not a checkpoint of the authors' network ({name}: {error})") from None
