"""mini-ImageNet from the pickles that many projects use, in two families and under any names.

`mini-imagenet-cache-{train,val,test}.pkl` hold {"image_data": uint8 [N, 84, 84, 3], "class_dict": {class: indices}}.
`miniImageNet_category_split_{train_phase_train,val,test}.pickle` hold {"data": uint8 [N, 84, 84, 3], "labels": N
numbers, "catname2label": {class: number}}. A pickle is a program and may come from a stranger. The unpickler here can
build arrays of numbers and nothing else, so such a file can do no harm.
"""

import functools
import pathlib
import pickle
import re
from typing import Any

import numpy as np
from integrity import CorruptFileError, file_error
from mini_imagenet import FILE_PARTS, SIDE, Source

from maml_tf.errors import DataMissingError

FILES = {split: f"mini-imagenet-cache-{part}.pkl" for split, part in FILE_PARTS.items()}
ENDINGS = (".pkl", ".pickle")
WORDNET_ID = re.compile(r"n\d{8}")
OURS = re.compile(r"mini.?imagenet", re.IGNORECASE)
# A name of the second family: its training classes are also divided into three, of which only the first is the split's.
OTHER_PHASES = re.compile(r"train_phase_(val|test)")


def are_pickles(folder: str | pathlib.Path) -> bool:
    """Whether a folder holds any of the pickles, by their names."""
    return any(OURS.search(path.name) for path in _pickles_in(pathlib.Path(folder)))


def pickles(folder: str | pathlib.Path) -> Source:
    """Opens the three pickles in a folder.

    Raises:
        DataMissingError: a pickle is missing or damaged, holds something else, or asks for a function that arrays do
            not need; names the pickle and the function.
    """
    paths = {split: _pickle_of(split, pathlib.Path(folder)) for split in FILES}
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


def _pickles_in(folder: pathlib.Path) -> list[pathlib.Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())


def _pickle_of(split: str, folder: pathlib.Path) -> pathlib.Path:
    """The pickle of a split: the one with the usual name, or the only one whose name says the split."""
    usual = folder / FILES[split]
    if usual.is_file():
        return usual
    found = [path for path in _pickles_in(folder) if not OTHER_PHASES.search(path.name)]
    words = [(path, re.split(r"[^a-z]+", path.stem.lower().replace("imagenet", ""))) for path in found]
    part = FILE_PARTS[split]
    names = {part, split}
    matching = [path for path, parts in words if names & set(parts)]
    if len(matching) > 1:
        listed = ", ".join(path.name for path in matching)
        raise DataMissingError(f"{folder}: several pickles may be those of {split}: {listed}. Leave one of them there")
    return matching[0] if matching else usual


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
    except Exception as error:  # a broken pickle can raise nearly anything
        raise file_error(path, f"{type(error).__name__}: {error}") from None
    try:
        return _checked(_first_family(content))
    except (ValueError, TypeError) as error:
        raise CorruptFileError(
            f"{path} ({path.stat().st_size} bytes) is a pickle that is not supported because {error}"
        ) from None


def _first_family(content: Any) -> Any:
    """The content of a pickle of the second family in the form of the first."""
    if not isinstance(content, dict) or not {"data", "labels"} <= content.keys():
        return content
    numbers, names = np.asarray(content["labels"]), content.get("catname2label")
    if not isinstance(names, dict):
        raise ValueError("it does not name its classes (catname2label)")
    strangers = [name for name in names if not WORDNET_ID.fullmatch(str(name))]
    if strangers:
        raise ValueError(f"it names classes {strangers[0]!r}; WordNet ids such as n01532829 are expected")
    if numbers.ndim != 1 or len(numbers) != len(content["data"]):
        raise ValueError("it does not hold one label for each image")
    classes = {str(name): np.flatnonzero(numbers == number) for name, number in names.items()}
    return {"image_data": content["data"], "class_dict": {name: found for name, found in classes.items() if len(found)}}


def _checked(content: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if not isinstance(content, dict) or not {"image_data", "class_dict"} <= content.keys():
        raise ValueError("it holds no dictionary with image_data and class_dict, or with data and labels")
    images, classes = content["image_data"], content["class_dict"]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
        what = f"{images.dtype} {list(images.shape)}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"its images are {what}, no uint8 array [N, {SIDE}, {SIDE}, 3]")
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
