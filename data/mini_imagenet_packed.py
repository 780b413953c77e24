"""mini-ImageNet as packed shards: JPEGs that share one header. data/README.md describes the format."""

import pathlib

import numpy as np
from integrity import file_error, read_npz
from mini_imagenet import Source, decode

from maml_tf.errors import DataMissingError

SHARDS = {
    "train": ("miniimagenet_train_0.npz", "miniimagenet_train_1.npz", "miniimagenet_train_2.npz"),
    "validation": ("miniimagenet_val.npz",),
    "test": ("miniimagenet_test.npz",),
}


def is_packed(folder: str | pathlib.Path) -> bool:
    """Whether a folder holds any of the shards."""
    return any((pathlib.Path(folder) / name).exists() for names in SHARDS.values() for name in names)


def packed(folder: str | pathlib.Path) -> Source:
    """Opens the five shards in a folder.

    Raises:
        DataMissingError: a shard is missing or damaged; names it.
    """
    paths = {split: [pathlib.Path(folder) / name for name in names] for split, names in SHARDS.items()}
    holders: dict[str, dict[str, _Shard]] = {}
    for split in SHARDS:
        holders[split] = {}
        for shard in map(_Shard, paths[split]):  # still encoded, all fit into memory
            for wnid in shard.wnids:
                if wnid in holders[split]:
                    raise DataMissingError(f"{shard.path}: class {wnid} is in this or another shard of {split} twice")
                holders[split][wnid] = shard
    return Source(
        folder=str(folder),
        kind="packed shards of 84x84 JPEGs",
        files=[path for split in SHARDS for path in paths[split]],
        counts={split: {wnid: shard.count(wnid) for wnid, shard in holders[split].items()} for split in SHARDS},
        read=lambda split, wnid: holders[split][wnid].images(wnid),
    )


class _Shard:
    """One shard in memory, still encoded."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        keys = ("jpeg_header", "body", "offset", "class_index", "class_wnid", "filename")
        header, body, self.offset, self.class_index, wnids, filenames = read_npz(path, keys).values()
        try:
            self.wnids, self.filenames = wnids.astype(str).tolist(), filenames.astype(str).tolist()
            fits = len(self.offset) - 1 == len(self.filenames) == len(self.class_index)
            fits &= {self.offset.dtype.kind, self.class_index.dtype.kind} <= {"i", "u"}
            fits &= bool(np.all(np.diff(self.offset) > 0)) and self.offset[0] >= 0 and self.offset[-1] <= len(body)
            fits &= self.class_index.min() >= 0 and self.class_index.max() < len(self.wnids)
        except (ValueError, TypeError, IndexError) as error:
            raise file_error(path, f"its arrays do not fit together: {error}") from None
        if not fits:
            raise file_error(path, "its arrays do not fit together")
        self.header, self.body = header.tobytes(), body.tobytes()

    def count(self, wnid: str) -> int:
        return len(self._rows(wnid))

    def images(self, wnid: str) -> np.ndarray:
        return np.stack([self._image(row) for row in self._rows(wnid)])

    def _rows(self, wnid: str) -> np.ndarray:
        return np.flatnonzero(self.class_index == self.wnids.index(wnid))

    def _image(self, row: int) -> np.ndarray:
        content = self.header + self.body[self.offset[row] : self.offset[row + 1]]
        return decode(content, f"{self.path}: {self.filenames[row]}")
