"""The same small mini-ImageNet in the form of each of its sources."""

import io

import numpy as np
import pytest
from mini_imagenet import FILE_PARTS
from mini_imagenet_packed import SHARDS
from PIL import Image
from small_mini_imagenet import CONTENTS, encode, image_names, write_shard


@pytest.fixture(scope="session")
def jpegs():
    """{file name: an 84x84 JPEG}. All have the same header, as packed shards need."""
    rng = np.random.default_rng(0)
    return {
        name: encode(Image.fromarray(rng.integers(0, 256, (84, 84, 3), np.uint8)), quality=90)
        for classes in CONTENTS.classes.values()
        for wnid in classes
        for name in image_names(wnid)
    }


@pytest.fixture(scope="session")
def pixels(jpegs):
    """{split: uint8 [classes, 3, 84, 84, 3]}: the images that every source must give."""
    return {
        split: np.stack(
            [[np.asarray(Image.open(io.BytesIO(jpegs[name]))) for name in image_names(wnid)] for wnid in classes]
        )
        for split, classes in CONTENTS.classes.items()
    }


@pytest.fixture
def csv_folder(tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    for split, classes in CONTENTS.classes.items():
        rows = [f"{name},{wnid}\n" for wnid in classes for name in image_names(wnid)]
        (folder / f"{FILE_PARTS[split]}.csv").write_text("filename,label\n" + "".join(rows))
    return folder


@pytest.fixture
def jpeg_folder(tmp_path, jpegs):
    """Some of the JPEGs in one folder, the others in one folder a class."""
    for name, content in jpegs.items():
        folder = tmp_path / "jpegs" / ("" if name < "n00000003" else f"sub/{name[:9]}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return tmp_path / "jpegs"


@pytest.fixture
def packed_folder(tmp_path, jpegs):
    folder = tmp_path / "packed"
    folder.mkdir()
    for split, shards in SHARDS.items():
        classes = CONTENTS.classes[split]
        for index, shard in enumerate(shards):
            write_shard(folder / shard, classes[index : index + 1] if len(shards) > 1 else classes, jpegs)
    return folder
