"""mini-ImageNet from the three pickles that many projects use, mini-imagenet-cache-{train,val,test}.pkl.

Each holds {"image_data": uint8 [N, 84, 84, 3], "class_dict": {class: indices}}. A pickle is a program and may come from
a stranger. The unpickler here can build arrays of numbers and nothing else, so such a file can do no harm.
"""

import functools
import pathlib
import pickle
import re
from typing import Any

import numpy as np
from integrity import file_error
from mini_imagenet import FILE_PARTS, SIDE, Source

FILES = {split: f"mini-imagenet-cache-{part}.pkl" for split, part in FILE_PARTS.items()}


def are_pickles(folder: str | pathlib.Path) -> bool:
    """Whether a folder holds any of the pickles."""
    return any((pathlib.Path(folder) / name).exists() for name in FILES.values())


def pickles(folder: str | pathlib.Path) -> Source:
    """Opens the three pickles in a folder.

    Raises:
        DataMissingError: a pickle is missing or damaged, holds something else, or asks for a function that arrays do
            not need; names the pickle and the function.
    """
    paths = {split: pathlib.Path(folder) / name for split, name in FILES.items()}
    load = functools.lru_cache(maxsize=1)(load_pickle)  # one at a time: they are large

    def read(split: str, wnid: str) -> np.ndarray:
        images, classes = load(paths[split])
        return images[classes[wnid]]

    counts = {split: {wnid: len(indices) for wnid, indices in load(path)[1].items()} for split, path in paths.items()}
    return Source(
        folder=str(folder),
        kind="pickles of 84x84 images",
        files=list(paths.values()),
        counts=counts,
        read=read,
    )


def load_pickle(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads one pickle.

    Returns:
        images: uint8 [N, 84, 84, 3].
        classes: {class: indices of its images}.

    Raises:
        DataMissingError: as `pickles`.
    """
    try:
        with open(path, "rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()  # some were written by Python 2
        return _checked(content)
    except Exception as error:  # a broken pickle can raise nearly anything
        raise file_error(path, f"{type(error).__name__}: {error}") from None


def _checked(content: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if not isinstance(content, dict) or not {"image_data", "class_dict"} <= content.keys():
        raise ValueError("it holds no dictionary with image_data and class_dict")
    images, classes = content["image_data"], content["class_dict"]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
        raise ValueError(f"image_data is no uint8 array [N, {SIDE}, {SIDE}, 3]")
    if not isinstance(classes, dict) or not classes:
        raise ValueError("class_dict is no dictionary of classes")
    classes = {str(name): np.asarray(indices) for name, indices in classes.items()}
    for name, indices in classes.items():
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise ValueError(f"class_dict gives no list of whole numbers for {name}")
    indices = np.concatenate(list(classes.values()))
    if len(np.unique(indices)) != len(indices) or indices.min() < 0 or indices.max() >= len(images):
        raise ValueError(f"class_dict gives an index twice or one that is not below {len(images)}")
    return images, classes


class _ArraysOnly(pickle.Unpickler):
    """Knows only the names in the pickles of NumPy's arrays and numbers, and gives a harmless function for each."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _HARMLESS[module.replace("numpy._core", "numpy.core"), name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused") from None


def _dtype(code: str, *_: Any) -> np.dtype:
    """Plain numbers only. NumPy ignores the state that a pickle sets on the type that this returns."""
    if not re.fullmatch(r"[biuf][1248]", code):
        raise pickle.UnpicklingError(f"it asks for an array of {code!r}, which is refused")
    return np.dtype(code)


def _empty_array(*_: Any) -> np.ndarray:
    """An array whose shape, type and bytes the pickle sets next. NumPy checks that they fit together."""
    return np.empty(0, np.uint8)


def _from_buffer(buffer: Any, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _scalar(dtype: np.dtype, content: str | bytes) -> Any:
    return np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, dtype)[0]


def _bytes(text: str, encoding: str) -> bytes:
    """Pickles of protocol 2 write bytes as Latin-1 text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for bytes in {encoding!r}, which is refused")
    return text.encode("latin1")


_HARMLESS = {
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): None,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _bytes,
}
