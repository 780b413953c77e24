"""mini-ImageNet: what a source must hold, and how the prepared arrays are written from it (PROTOCOL 2.6).

Its sources are in `mini_imagenet_folders`, `mini_imagenet_pickles` and `mini_imagenet_packed`.
"""

import dataclasses
import io
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
from integrity import corrupt
from PIL import Image

from maml_tf.errors import DataMissingError
from maml_tf.tasks.image_set import file_sha256, write_image_set
from maml_tf.tasks.mini_imagenet import IMAGES_PER_CLASS, NAMES, SIDE

# The split of Ravi and Larochelle (2017), by WordNet id.
_WORDNET_IDS = {
    "train": """
        n01532829 n01558993 n01704323 n01749939 n01770081 n01843383 n01910747 n02074367 n02089867 n02091831
        n02101006 n02105505 n02108089 n02108551 n02108915 n02111277 n02113712 n02120079 n02165456 n02457408
        n02606052 n02687172 n02747177 n02795169 n02823428 n02966193 n03017168 n03047690 n03062245 n03207743
        n03220513 n03337140 n03347037 n03400231 n03476684 n03527444 n03676483 n03838899 n03854065 n03888605
        n03908618 n03924679 n03998194 n04067472 n04243546 n04251144 n04258138 n04275548 n04296562 n04389033
        n04435653 n04443257 n04509417 n04515003 n04596742 n04604644 n04612504 n06794110 n07584110 n07697537
        n07747607 n09246464 n13054560 n13133613""",
    "validation": """
        n01855672 n02091244 n02114548 n02138441 n02174001 n02950826 n02971356 n02981792 n03075370 n03417042
        n03535780 n03584254 n03770439 n03773504 n03980874 n09256479""",
    "test": """
        n01930112 n01981276 n02099601 n02110063 n02110341 n02116738 n02129165 n02219486 n02443484 n02871525
        n03127925 n03146219 n03272010 n03544143 n03775546 n04146614 n04149813 n04418357 n04522168 n07613480""",
}
CLASSES = {split: ids.split() for split, ids in _WORDNET_IDS.items()}
# What is read under the name of a JPEG: one ILSVRC file in a million is a PNG, and copies come in other formats too.
Image.init()
FORMATS = tuple(
    name for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF") if name in Image.OPEN
)
BROKEN_IMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
# The part of the split in the names of the sources' files: train.csv, val.csv, test.csv and so on.
FILE_PARTS = {"train": "train", "validation": "val", "test": "test"}


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a complete source holds: the classes of each split, and how many images each class has."""

    classes: dict[str, list[str]]
    images_per_class: int


COMPLETE = Contents(CLASSES, IMAGES_PER_CLASS)


@dataclasses.dataclass(frozen=True)
class Source:
    """Files that mini-ImageNet can be read from.

    Attributes:
        folder: where the files are, for messages.
        kind: the kind of source, in words.
        files: the files with the images. Their checksum goes into the manifest and every result.
        counts: {split: {class: number of images}}, known before any image is decoded.
        read: read(split, class) returns the class's images, uint8 [M, 84, 84, 3]. It raises a DataMissingError that
            names an image that cannot be read.
    """

    folder: str
    kind: str
    files: list[pathlib.Path]
    counts: dict[str, dict[str, int]]
    read: Callable[[str, str], np.ndarray]


def check(source: Source, contents: Contents = COMPLETE) -> None:
    """Compares the classes and numbers of images of a source with those of the complete data set.

    Raises:
        DataMissingError: they differ; names the first difference.
    """
    for split, classes in contents.classes.items():
        counts = source.counts[split]
        for wrong, what in ((set(classes) - set(counts), "lacks"), (set(counts) - set(classes), "should not have")):
            if wrong:
                names = ", ".join(sorted(wrong)[:5]) + (", ..." if len(wrong) > 5 else "")
                raise DataMissingError(f"{source.folder}: {split} {what} {len(wrong)} classes: {names}")
        for name in classes:
            if counts[name] != contents.images_per_class:
                raise DataMissingError(
                    f"{source.folder}: {split} class {name} has {counts[name]} images; "
                    f"{contents.images_per_class} are expected"
                )


def write(source: Source, folder: str | pathlib.Path, contents: Contents = COMPLETE) -> None:
    """Checks a source and writes its three splits as prepared image sets, printing its progress.

    Args:
        source: of the images.
        folder: the folder of prepared sets.
        contents: what the source must hold.

    Raises:
        DataMissingError: the source is incomplete, or an image cannot be read. No incomplete array is left.
    """
    check(source, contents)
    print(f"mini-imagenet: {source.kind} in {source.folder}", flush=True)
    origin = f"{source.kind}, SHA-256 {file_sha256(*source.files)}"
    for split, names in contents.classes.items():
        write_image_set(folder, NAMES[split], _class_by_class(source, split, names), names, origin)


def _class_by_class(source: Source, split: str, names: list[str]) -> Iterator[np.ndarray]:
    for done, name in enumerate(names, 1):
        yield source.read(split, name)
        if done % 4 == 0 or done == len(names):
            print(f"mini-imagenet: {split}, {done} of {len(names)} classes", flush=True)


def decode(content: bytes, name: str | pathlib.Path) -> np.ndarray:
    """Decodes an 84x84 image.

    Args:
        content: of an image file.
        name: of the image, for the message of an error.

    Returns:
        uint8 [84, 84, 3].

    Raises:
        CorruptFileError: the image cannot be read.
        DataMissingError: the image has another size.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            pixels = np.asarray(image.convert("RGB"))
    except BROKEN_IMAGE as error:
        raise corrupt(name, content, len(content), f"it is not a readable image: {error}") from None
    if pixels.shape != (SIDE, SIDE, 3):
        raise DataMissingError(f"{name} has {pixels.shape[1]}x{pixels.shape[0]} pixels; {SIDE}x{SIDE} are expected")
    return pixels
