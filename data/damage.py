"""What is said of a file that is not what it should be."""

import pathlib

from maml_tf.errors import DataMissingError


def verdict(content):
    """Names what usually stands in place of the right file, from its first bytes."""
    start = content[:100].lstrip().lower()
    return "an HTML page, not data" if start.startswith((b"<!doctype html", b"<html")) else "damaged or incomplete"


def damaged(path, reason):
    """The DataMissingError for a file that is absent or cannot be what it should be."""
    path = pathlib.Path(path)
    if not path.is_file():
        return DataMissingError(f"{path} is missing")
    with open(path, "rb") as file:
        start = file.read(100)
    return DataMissingError(f"{path} ({path.stat().st_size} bytes) is {verdict(start)}: {reason}")
