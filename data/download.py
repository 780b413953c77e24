"""Downloads with a checksum. A file is complete and correct when it appears under its name."""

import hashlib
import http.client
import pathlib
import urllib.request

from integrity import CorruptFileError, describe, file_error

from maml_tf._io import atomic_write
from maml_tf.errors import DataMissingError

TIMEOUT_SECONDS = 60


def check(path: str | pathlib.Path, checksum: str) -> None:
    """Compares a file with its checksum, an MD5 or a SHA-256.

    Raises:
        DataMissingError: the file is missing.
        CorruptFileError: the file has another checksum.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise file_error(path, "")
    name, found = _checksum_of(path.read_bytes(), checksum)
    if found != checksum:
        raise file_error(path, f"its {name} is {found}, {checksum} is expected; remove it or bring the right one")


def fetch(url: str, path: str | pathlib.Path, checksum: str) -> None:
    """Downloads `url` to `path`, or checks the file that exists there already.

    Args:
        url: of the file.
        path: where the file goes.
        checksum: MD5 or SHA-256 of the file.

    Raises:
        DataMissingError: the server cannot be reached.
        CorruptFileError: the server's answer, or the file at `path`, is not the file.
    """
    path = pathlib.Path(path)
    if path.exists():
        check(path, checksum)
        return
    by_hand = f"Bring the file by hand to {path}, or give a folder that holds it: make data MIRROR=folder"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise DataMissingError(f"{url} cannot be downloaded ({error}). {by_hand}") from None
    name, found = _checksum_of(content, checksum)
    if found != checksum:
        raise CorruptFileError(
            f"{url} gave {len(content)} bytes that are {describe(content)}: "
            f"their {name} is {found}, {checksum} is expected. {by_hand}"
        )
    with atomic_write(path, "wb") as file:
        file.write(content)


def _checksum_of(content: bytes, expected: str) -> tuple[str, str]:
    """(the name, the value) of the checksum of the kind that is expected."""
    name = "MD5" if len(expected) == 32 else "SHA-256"
    return name, hashlib.new(name.replace("-", ""), content).hexdigest()
