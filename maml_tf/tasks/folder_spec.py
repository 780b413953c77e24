"""Tasks from your own image files in a spec: `tasks: {dataset: {folder: ...}, ways: 5, ...}`."""

from __future__ import annotations

import dataclasses
import os
from typing import Literal

from maml_tf.errors import UsageError
from maml_tf.tasks.datasets import DATASETS, ImageTaskSpec
from maml_tf.tasks.image_set import ImageSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderSpec:
    """Where the image files are, and which classes are trained on and tested (see `maml_tf.tasks.image_folder`)."""

    folder: str  # with a folder for each class, or with the folders train, validation and test; from the working folder
    side: int = 84  # height and width in pixels
    channels: Literal[1, 3] = 3  # grey or RGB
    split_seed: int | None = None  # the classes are divided at random; None: by the folders train, validation and test
    split: tuple[float, ...] = (0.64, 0.16, 0.2)  # the parts of the classes in training, validation and test

    def __post_init__(self):
        if self.side < 1:
            raise UsageError(f"side: {self.side} is not allowed; expected a whole number from 1")
        if len(self.split) != 3 or min(self.split) <= 0 or abs(sum(self.split) - 1) > 1e-6:
            raise UsageError(
                f"split: {list(self.split)} is not allowed; expected three positive numbers with the sum 1"
            )


@DATASETS.register("folder")
@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderTasks(ImageTaskSpec):
    """Tasks from a folder of image files."""

    dataset: FolderSpec  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def image_shape(self) -> tuple[int, int, int]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(height, width, channels) of the images in the tasks."""
        return (self.dataset.side, self.dataset.side, self.dataset.channels)

    def load(self, data_folder: str | os.PathLike | None) -> dict[str, ImageSet]:
        """See `ImageTaskSpec.load`. The images are decoded once and kept in the folder of prepared data sets."""
        from maml_tf.tasks.image_folder import read_image_folder, read_split_folders, split_classes

        if self.dataset.split_seed is None:
            return read_split_folders(self.dataset.folder, self.image_shape, data_folder)
        image_set = read_image_folder(self.dataset.folder, self.image_shape, data_folder)
        return split_classes(image_set, self.dataset.split_seed, self.dataset.split)
