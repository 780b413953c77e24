"""mini-ImageNet in small, for the tests of its sources: seven classes of three images instead of 100 of 600."""

import io
import pathlib
import pickle

import mini_imagenet
import numpy as np
from mini_imagenet import Contents
from mini_imagenet_pickles import FILES
from PIL import Image

from maml_tf.tasks.image_set import ImageSet, read_image_set
from maml_tf.tasks.mini_imagenet import NAMES

CONTENTS = Contents(
    classes={
        "train": ["n00000001", "n00000002", "n00000003"],
        "validation": ["n00000004", "n00000005"],
        "test": ["n00000006", "n00000007"],
    },
    images_per_class=3,
)
POSITIONS = (1, 3, 4)  # of every class's images among its ILSVRC files


def encode(image: Image.Image, **options) -> bytes:
    """The image as a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def image_names(wnid: str) -> list[str]:
    return [f"{wnid}{position:08d}.jpg" for position in POSITIONS]


def write_shard(path: pathlib.Path, classes: list[str], jpegs: dict[str, bytes]) -> None:
    """Packs the JPEGs of some classes into one .npz file (data/README.md)."""
    contents = [jpegs[name] for wnid in classes for name in image_names(wnid)]
    header = next(iter(jpegs.values()))[:600]  # the same in all: one size, quality and encoder
    bodies = [content[len(header) :] for content in contents]
    np.savez(
        path,
        jpeg_header=np.frombuffer(header, np.uint8),
        body=np.frombuffer(b"".join(bodies), np.uint8),
        offset=np.cumsum([0, *map(len, bodies)]),
        class_index=np.repeat(np.arange(len(classes), dtype=np.int16), len(POSITIONS)),
        class_wnid=np.array(classes, "S9"),
        filename=np.array([name for wnid in classes for name in image_names(wnid)], "S21"),
    )


def write_pickles(folder: pathlib.Path, pixels: dict[str, np.ndarray], **options) -> pathlib.Path:
    """Writes one pickle for each split and returns the folder."""
    folder.mkdir(exist_ok=True)
    for split, images in pixels.items():
        classes = {wnid: list(range(3 * i, 3 * i + 3)) for i, wnid in enumerate(CONTENTS.classes[split])}
        content = {"image_data": images.reshape(-1, 84, 84, 3), "class_dict": classes}
        (folder / FILES[split]).write_bytes(pickle.dumps(content, **options))
    return folder


def prepared(source: mini_imagenet.Source, folder: pathlib.Path) -> dict[str, ImageSet]:
    """Prepares a source and reads the three splits."""
    mini_imagenet.write(source, folder, CONTENTS)
    return {split: read_image_set(folder, name, verify=True) for split, name in NAMES.items()}
