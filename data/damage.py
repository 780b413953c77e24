"""Files that are not what they should be: reading them without surprises, and what is said of them."""

import pathlib

import numpy as np

from maml_tf.errors import DataMissingError

HTML = "an HTML page, not data"


def verdict(content):
    """Names what usually stands in place of the right file, from its first bytes."""
    start = content[:100].lstrip().lower()
    return HTML if start.startswith((b"<!doctype html", b"<html")) else "damaged or incomplete"


def damaged(path, reason):
    """The DataMissingError for a file that is absent or cannot be what it should be."""
    path = pathlib.Path(path)
    if not path.is_file():
        return DataMissingError(f"{path} is missing")
    with open(path, "rb") as file:
        start = file.read(100)
    return DataMissingError(f"{path} ({path.stat().st_size} bytes) is {verdict(start)}: {reason}")


def read_npz(path, keys):
    """{key: array} of an .npz file, without pickles; DataMissingError names a file that is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except Exception as error:  # a broken archive can raise nearly anything
        raise damaged(path, error) from None
