"""Downloads with a checksum: a file is there complete and right, or not at all."""

import hashlib
import http.client
import pathlib
import urllib.request

from damage import HTML, damaged, verdict

from maml_tf._io import atomic_write
from maml_tf.errors import DataMissingError

SECONDS = 60


def check(path, md5):
    """Compares a file with its MD5; where none is known (None) it only must not be an HTML page.

    Raises:
        DataMissingError: the file is missing or another one; says what was found.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise damaged(path, "")
    content = path.read_bytes()
    if md5 is None and verdict(content) == HTML:
        raise damaged(path, "remove it or bring the right one")
    found = hashlib.md5(content).hexdigest()
    if md5 is not None and found != md5:
        raise damaged(path, f"its MD5 is {found}, {md5} is expected; remove it or bring the right one")


def fetch(url, path, md5=None):
    """Downloads `url` to `path` unless a file lies there already; checks it in both cases.

    Args:
        url, path: from where and to where.
        md5: of the file; None where no checksum of it is published and its reader checks the content.

    Raises:
        DataMissingError: the server cannot be reached, or what came or lay there is not the file.
    """
    path = pathlib.Path(path)
    if path.exists():
        check(path, md5)
        return
    by_hand = f"Bring the file by hand to {path}, or give a folder that holds it: make data MIRROR=folder"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise DataMissingError(f"{url} cannot be downloaded ({error}). {by_hand}") from None
    if md5 is None and verdict(content) == HTML:
        raise DataMissingError(f"{url} gave {len(content)} bytes that are {HTML}. {by_hand}")
    found = hashlib.md5(content).hexdigest()
    if md5 is not None and found != md5:
        raise DataMissingError(
            f"{url} gave {len(content)} bytes that are {verdict(content)}: "
            f"their MD5 is {found}, {md5} is expected. {by_hand}"
        )
    with atomic_write(path, "wb") as file:
        file.write(content)
