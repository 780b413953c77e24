"""mini-ImageNet: 100 classes of 600 images in the split of Ravi and Larochelle (PROTOCOL 2.6)."""

import os

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import ImageSet, read_image_set

# The paper's text says 12 validation and 24 test classes; the split files that its code reads have 16 and 20.
CLASSES = {"train": 64, "validation": 16, "test": 20}
NAMES = {split: f"mini_imagenet_{split}" for split in CLASSES}
IMAGES_PER_CLASS = 600
SIDE = 84


def load_mini_imagenet(folder: str | os.PathLike, verify: bool = False) -> dict[str, ImageSet]:
    """Opens the three splits, each with its classes sorted by WordNet id.

    Args:
        folder: the folder of prepared sets.
        verify: also compare the checksums, which reads 1.3 GB.

    Returns:
        {"train": ImageSet, "validation": ImageSet, "test": ImageSet}: images uint8 [C, 600, 84, 84, 3], memory-mapped,
        with C = 64, 16, 20.

    Raises:
        DataMissingError: a prepared split is missing, damaged or incomplete, or comes from another source than the
            others.
    """
    splits = {split: read_image_set(folder, name, verify) for split, name in NAMES.items()}
    for split, image_set in splits.items():
        expected = (CLASSES[split], IMAGES_PER_CLASS, SIDE, SIDE, 3)
        if image_set.images.shape != expected:
            raise DataMissingError(
                f"{folder}: the prepared {NAMES[split]} has shape {list(image_set.images.shape)}; {list(expected)} is "
                "expected: remove it, then `make data` prepares it"
            )
    origins = {image_set.source["origin"] for image_set in splits.values()}
    if len(origins) > 1:
        raise DataMissingError(
            f"{folder}: the splits of mini-ImageNet come from different sources ({'; '.join(sorted(origins))}): remove "
            "them, then `make data` prepares them from one"
        )
    return splits
