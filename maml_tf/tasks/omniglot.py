"""Omniglot: 1623 handwritten characters, 20 drawings each (PROTOCOL 2.2)."""

import os

import numpy as np

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import ImageSet, read_image_set

NAME = "omniglot"
CHARACTERS = 1623
DRAWINGS = 20
SIDE = 28
SPLIT = {"train": 1100, "validation": 100, "test": 423}


def load_omniglot(folder: str | os.PathLike) -> ImageSet:
    """Opens all characters, sorted by name: images [1623, 20, 28, 28, 1] with ink 255 and paper 0.

    Args:
        folder: the folder of prepared sets.

    Raises:
        DataMissingError: the prepared set is missing, damaged or incomplete.
    """
    image_set = read_image_set(folder, NAME)
    if image_set.images.shape != (CHARACTERS, DRAWINGS, SIDE, SIDE, 1):
        raise DataMissingError(
            f"{folder}: the prepared Omniglot has shape {list(image_set.images.shape)}; "
            f"{[CHARACTERS, DRAWINGS, SIDE, SIDE, 1]} is expected: `make data` prepares it"
        )
    return image_set


def split_omniglot(image_set: ImageSet, seed: int) -> dict[str, ImageSet]:
    """Shuffles the sorted characters of all alphabets and divides them into three splits.

    The paper's "1200 characters for training" are 1100 for training and 100 for validation; the other 423 are for the
    test. The authors' own order came from an unsorted directory listing and cannot be recovered.

    Args:
        image_set: an ImageSet of 1623 classes, sorted by name.
        seed: of NumPy's default generator (PCG64); recorded in the spec.

    Returns:
        {"train": ImageSet, "validation": ImageSet, "test": ImageSet}, no class in two of them.
    """
    order = np.random.default_rng(seed).permutation(len(image_set.class_names))
    bounds = np.cumsum([0, *SPLIT.values()])
    return {
        name: image_set.select(order[start:stop])
        for name, start, stop in zip(SPLIT, bounds[:-1], bounds[1:], strict=True)
    }
