"""mini-ImageNet: 100 classes of ImageNet, 600 images each, in Ravi and Larochelle's split (PROTOCOL 2.6)."""

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import read_image_set

NAME = "mini_imagenet"
# The paper's text says 12 validation and 24 test classes; the lists that its code reads have 16 and 20.
SPLIT = {"train": 64, "validation": 16, "test": 20}
IMAGES = 600
SIDE = 84


def load_mini_imagenet(folder):
    """The three parts of mini-ImageNet, views of one memory-mapped array.

    Returns:
        {"train": 64 classes, "validation": 16, "test": 20}: ImageSets with images uint8 [C, 600, 84, 84, 3], the
        classes of each sorted by name ("train/n01532829": the part and the WordNet id).

    Raises:
        DataMissingError: the prepared set is missing, damaged or incomplete.
    """
    image_set = read_image_set(folder, NAME)
    expected = (sum(SPLIT.values()), IMAGES, SIDE, SIDE, 3)
    if image_set.images.shape != expected:
        raise DataMissingError(
            f"{folder}: the prepared mini-ImageNet has shape {list(image_set.images.shape)}; {list(expected)} is "
            "expected: `make data` prepares it"
        )
    parts, start = {}, 0
    for part, num_classes in SPLIT.items():
        parts[part] = image_set.select(slice(start, start + num_classes))
        strays = [name for name in parts[part].class_names if not name.startswith(f"{part}/")]
        if strays:
            raise DataMissingError(
                f"{folder}: the prepared mini-ImageNet has {strays[0]} among its {num_classes} {part} classes; remove "
                "it, then `make data` prepares it"
            )
        start += num_classes
    return parts
