"""mini-ImageNet as packed shards: JPEGs that share one header (the format is described in data/README.md)."""

import functools
import pathlib
import zipfile

import numpy as np
from damage import damaged
from mini_imagenet import Source, decode

from maml_tf.errors import DataMissingError

SHARDS = {
    "train": ("miniimagenet_train_0.npz", "miniimagenet_train_1.npz", "miniimagenet_train_2.npz"),
    "validation": ("miniimagenet_val.npz",),
    "test": ("miniimagenet_test.npz",),
}


def is_packed(folder):
    """Whether any shard lies in a folder."""
    return any((pathlib.Path(folder) / name).exists() for names in SHARDS.values() for name in names)


def packed(folder):
    """The Source of the five shards in a folder; DataMissingError names the shard that is missing or damaged."""
    folder = pathlib.Path(folder)
    holders = {split: {} for split in SHARDS}
    counts = {split: {} for split in SHARDS}
    for split, names in SHARDS.items():
        for path in (folder / name for name in names):
            for wnid, count in _classes(path).items():
                if wnid in counts[split]:
                    raise DataMissingError(f"{path}: class {wnid} is in another shard of {split} too")
                counts[split][wnid] = count
                holders[split][wnid] = path
    open_shard = functools.lru_cache(maxsize=1)(_Shard)
    return Source(
        place=str(folder),
        kind="packed shards of 84x84 JPEGs",
        files=[folder / name for names in SHARDS.values() for name in names],
        counts=counts,
        read=lambda split, wnid: open_shard(holders[split][wnid]).images(wnid),
    )


class _Shard:
    """One shard in memory, still encoded."""

    def __init__(self, path):
        self.path = path
        arrays = _arrays(path, "jpeg_header", "body", "offset", "class_index", "class_wnid", "filename")
        header, body, self.offset, self.class_index, wnids, self.filename = arrays
        self.header, self.body = header.tobytes(), body.tobytes()
        self.wnids = [wnid.decode() for wnid in wnids]

    def images(self, wnid):
        rows = np.flatnonzero(self.class_index == self.wnids.index(wnid))
        return np.stack([self.image(row) for row in rows])

    def image(self, row):
        content = self.header + self.body[self.offset[row] : self.offset[row + 1]]
        return decode(content, f"{self.path}: {self.filename[row].decode()}")


def _classes(path):
    """{class: number of images} of a shard."""
    class_index, wnids = _arrays(path, "class_index", "class_wnid")
    counts = np.bincount(class_index, minlength=len(wnids))
    return {wnid.decode(): int(count) for wnid, count in zip(wnids, counts, strict=True)}


def _arrays(path, *keys):
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[key] for key in keys]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path, error) from None
