"""Downloads with a checksum. A file is complete and correct when it appears under its name."""

import hashlib
import http.client
import pathlib
import urllib.request

from integrity import HTML, CorruptFileError, describe, file_error

from maml_tf._io import atomic_write
from maml_tf.errors import DataMissingError

TIMEOUT_SECONDS = 60


def check(path: str | pathlib.Path, md5: str | None) -> None:
    """Compares a file with its MD5. Where none is known (None), only an HTML page is refused.

    Raises:
        DataMissingError: the file is missing.
        CorruptFileError: the file has another checksum, or is an HTML page.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise file_error(path, "")
    content = path.read_bytes()
    if md5 is None and describe(content) == HTML:
        raise file_error(path, "remove it or bring the right one")
    found = hashlib.md5(content).hexdigest()
    if md5 is not None and found != md5:
        raise file_error(path, f"its MD5 is {found}, {md5} is expected; remove it or bring the right one")


def fetch(url: str, path: str | pathlib.Path, md5: str | None = None) -> None:
    """Downloads `url` to `path`, or checks the file that exists there already.

    Args:
        url: of the file.
        path: where the file goes.
        md5: checksum of the file. None where its publisher gives none and its reader checks the content.

    Raises:
        DataMissingError: the server cannot be reached.
        CorruptFileError: the server's answer, or the file at `path`, is not the file.
    """
    path = pathlib.Path(path)
    if path.exists():
        check(path, md5)
        return
    by_hand = f"Bring the file by hand to {path}, or give a folder that holds it: make data MIRROR=folder"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise DataMissingError(f"{url} cannot be downloaded ({error}). {by_hand}") from None
    if md5 is None and describe(content) == HTML:
        raise CorruptFileError(f"{url} gave {len(content)} bytes that are {HTML}. {by_hand}")
    found = hashlib.md5(content).hexdigest()
    if md5 is not None and found != md5:
        raise CorruptFileError(
            f"{url} gave {len(content)} bytes that are {describe(content)}: "
            f"their MD5 is {found}, {md5} is expected. {by_hand}"
        )
    with atomic_write(path, "wb") as file:
        file.write(content)
