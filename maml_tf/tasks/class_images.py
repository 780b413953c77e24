"""Labelled images in the forms that people have them, as one array with the images class by class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.tasks.image_set import ImageSet

FEW_CHANNELS = 4  # a last axis of this length or less is that of the channels


class ClassImages:
    """Images of C classes.

    Args:
        images: as `Episodes` takes them.

    Attributes:
        images: uint8 or float32 [all images, height, width, channels], class by class.
        counts: int32 [C], the number of images of each class.
        starts: int32 [C], the place of the first image of each class.
        num_classes: C.
        largest: the number of images of the largest class.
        equal: whether all classes have that many.

    Raises:
        UsageError: `images` are no such arrays.
    """

    def __init__(self, images: Any):
        names = None
        if isinstance(images, ImageSet):
            images, names = images.images, images.class_names
        elif isinstance(images, Mapping):
            images, names = list(images.values()), tuple(map(str, images))
        if isinstance(images, Sequence) and not isinstance(images, str):
            images, counts = _joined(images, names)
        else:
            images = _with_channels(images, 5, "classes, images, height, width, channels")
            counts = [images.shape[1]] * images.shape[0]
            images = tf.reshape(tf.convert_to_tensor(_pixels(images)), [-1, *images.shape[2:]])
        self.images = tf.convert_to_tensor(images)
        self.image_shape = list(self.images.shape[1:])
        self.names = names
        self.counts = np.array(counts, np.int32)
        self.starts = np.cumsum([0, *counts[:-1]], dtype=np.int32)
        self.num_classes, self.largest = len(counts), max(counts, default=0)
        self.equal = len(set(counts)) <= 1

    def check(self, ways: int, shots: int, queries: int) -> None:
        """Raises a UsageError where tasks of these sizes cannot be drawn; names a class that is too small."""
        small = np.flatnonzero(self.counts < shots + queries)
        if ways <= self.num_classes and not small.size:
            return
        sizes = f"{self.largest} images"
        if not self.equal:
            sizes = f"{self.counts.min()} to {self.largest} images"
            if small.size:
                name = repr(self.names[small[0]]) if self.names else f"number {small[0]}"
                sizes += f"; class {name} has {self.counts[small[0]]}"
        raise UsageError(
            f"{ways} ways of {shots} + {queries} images cannot be drawn from {self.num_classes} classes of {sizes}"
        )


def _joined(classes: Sequence[Any], names: Sequence[str] | None) -> tuple[np.ndarray, list[int]]:
    """Arrays of single classes as one array, and their numbers of images."""
    if not classes:
        raise UsageError("images: there are no classes")
    arrays = []
    for index, images in enumerate(classes):
        name = f"class {names[index]!r}" if names else f"class number {index}"
        try:
            arrays.append(_pixels(_with_channels(np.asarray(images), 4, "images, height, width, channels")))
        except (UsageError, ValueError) as error:
            raise UsageError(f"{name}: {error}") from None
        first = arrays[0]
        if arrays[-1].shape[1:] != first.shape[1:] or arrays[-1].dtype != first.dtype:
            raise UsageError(
                f"{name}: its images are {arrays[-1].dtype} {list(arrays[-1].shape[1:])}, those of the first class "
                f"{first.dtype} {list(first.shape[1:])}"
            )
    return np.concatenate(arrays), [len(array) for array in arrays]


def _with_channels(images: Any, rank: int, axes: str) -> Any:
    """Images with an axis of channels, which grey ones may lack."""
    if not hasattr(images, "shape") or not hasattr(images, "dtype"):
        raise UsageError(f"images: a {type(images).__name__} is not allowed; expected an array [{axes}]")
    shape = list(images.shape)
    if len(shape) == rank - 1 and shape[-1] > FEW_CHANNELS:
        return images[..., np.newaxis]
    if len(shape) != rank or 0 in shape:
        raise UsageError(f"images: an array of shape {shape} is not allowed; expected [{axes}]")
    return images


def _pixels(images: Any) -> Any:
    """Images as uint8 or float32."""
    if tf.is_tensor(images):
        dtype = images.dtype.as_numpy_dtype
        if dtype not in (np.uint8, np.float32):
            return _pixels(images.numpy()) if hasattr(images, "numpy") else tf.cast(images, tf.float32)
        return images
    if images.dtype == np.uint8:
        return images
    if images.dtype == bool:
        return images.astype(np.float32)
    if images.dtype.kind in "iu":
        if images.min() < 0 or images.max() > 255:
            raise UsageError(
                f"images: {images.dtype} numbers from {images.min()} to {images.max()} are not allowed; expected whole "
                "numbers from 0 to 255, or floating-point numbers, such as 16-bit images divided by 65535.0"
            )
        return images.astype(np.uint8)
    if images.dtype.kind != "f":
        raise UsageError(f"images: an array of {images.dtype} is not allowed; expected numbers")
    if not np.isfinite(images).all():
        raise UsageError("images: some numbers are nan or infinite")
    if images.min() >= 0 and 2 < images.max() <= 255:
        warnings.warn(
            f"images: floating-point images are taken as they are, and these go up to {images.max():g}; divide them by "
            "255, or pass them as uint8, to have them in 0..1",
            stacklevel=4,
        )
    return images.astype(np.float32, copy=False)
