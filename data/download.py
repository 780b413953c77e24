"""Downloads with a checksum: a file is there complete and right, or not at all."""

import hashlib
import pathlib
import shutil
import urllib.error
import urllib.request

from maml_tf.errors import DataMissingError
from maml_tf.files import written_whole

SECONDS = 60


def check(path, md5):
    """Compares a file with its MD5; DataMissingError says what was found instead."""
    content = pathlib.Path(path).read_bytes()
    found = hashlib.md5(content).hexdigest()
    if found != md5:
        looks = (
            "an HTML page"
            if content.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))
            else "another file"
        )
        raise DataMissingError(
            f"{path} ({len(content)} bytes) is damaged, incomplete or {looks}: its MD5 is {found}, expected {md5}. "
            "Remove it to download it again."
        )


def fetch(url, path, md5):
    """Downloads `url` to `path` unless a file lies there already; checks it in both cases.

    Raises:
        DataMissingError: the server cannot be reached, or what came is not the file.
    """
    path = pathlib.Path(path)
    if not path.exists():
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as response, written_whole(path, "wb") as file:
                shutil.copyfileobj(response, file)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise DataMissingError(
                f"{url} cannot be downloaded ({error}). Bring the file by hand to {path}, or give a folder that holds "
                "it: make data MIRROR=folder"
            ) from None
    check(path, md5)
