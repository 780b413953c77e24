"""Data sets by name: the section `tasks` of a classification spec, and how the images are loaded.

A data set is a dataclass of what a spec says about it, with a method `load`, registered under its name:

    @DATASETS.register("my_images")
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class MyImageTasks(ImageTaskSpec):
        image_shape = (32, 32, 3)

        def load(self, data_folder): ...

Then a spec may say `tasks: {dataset: my_images, ways: 5, ...}`.
"""

from __future__ import annotations

import abc
import dataclasses
import os
from typing import ClassVar

from maml_tf._registry import Registry
from maml_tf.errors import UsageError
from maml_tf.tasks import mini_imagenet, omniglot
from maml_tf.tasks.image_set import ImageSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTaskSpec(abc.ABC):
    """N-way K-shot classification tasks (section 5.2); the key `dataset` says which subclass they are read as."""

    tag: ClassVar[str] = "dataset"
    variants: ClassVar[Registry[type[ImageTaskSpec]]] = Registry("data set")
    image_shape: ClassVar[tuple[int, int, int]]  # (height, width, channels)

    dataset: str
    ways: int  # N
    shots: int  # K, support images per class
    train_queries: int  # query images per class in training and validation
    test_queries: int  # query images per class at test
    rotations: bool = False  # one random rotation by a multiple of 90 degrees per class and task
    shuffle: bool = True  # the rows of a task are in random order; in the paper's tasks, in the order of the classes

    def __post_init__(self):
        for name, least in (("ways", 2), ("shots", 1), ("train_queries", 1), ("test_queries", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name}: {getattr(self, name)} is not allowed; expected a whole number from {least}")

    @abc.abstractmethod
    def load(self, data_folder: str | os.PathLike | None) -> dict[str, ImageSet]:
        """The splits {"train", "validation", "test": ImageSet}, no class in two of them.

        Raises:
            UsageError: the data set is read from the folder, and none was given.
            DataMissingError: the data set is missing in the folder, or damaged.
        """


DATASETS = ImageTaskSpec.variants


def prepared(data_folder: str | os.PathLike | None) -> str | os.PathLike:
    """The folder of prepared data sets; a UsageError where none was given."""
    if data_folder is None:
        raise UsageError("data_folder: None is not allowed; expected the folder that `make data` wrote")
    return data_folder


@DATASETS.register("omniglot")
@dataclasses.dataclass(frozen=True, kw_only=True)
class OmniglotTasks(ImageTaskSpec):
    """Tasks from Omniglot."""

    image_shape = (omniglot.SIDE, omniglot.SIDE, 1)

    split_sizes: ClassVar = omniglot.SPLIT

    shuffle: bool = False
    split_seed: int  # of the split of the characters

    def __post_init__(self):
        super().__post_init__()
        if self.split_seed < 0:
            raise UsageError(f"split_seed: {self.split_seed} is not allowed; expected a whole number from 0")

    def load(self, data_folder: str | os.PathLike | None) -> dict[str, ImageSet]:
        return omniglot.split_omniglot(omniglot.load_omniglot(prepared(data_folder)), self.split_seed)


@DATASETS.register("mini_imagenet")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MiniImagenetTasks(ImageTaskSpec):
    """Tasks from mini-ImageNet, which has an official split."""

    image_shape = (mini_imagenet.SIDE, mini_imagenet.SIDE, 3)
    split_sizes: ClassVar = mini_imagenet.CLASSES

    shuffle: bool = False

    def load(self, data_folder: str | os.PathLike | None) -> dict[str, ImageSet]:
        return mini_imagenet.load_mini_imagenet(prepared(data_folder))
