"""The csv files of Ravi and Larochelle's split, which list the images of mini-ImageNet."""

import csv
import pathlib
import re
import zipfile

from integrity import file_error
from mini_imagenet import FILE_PARTS

from maml_tf.errors import DataMissingError

NAME = re.compile(r"(n\d{8})(\d{8})\.jpg")
ZIP = "miniimagenet_csv.zip"


def read_csv_files(folder: str | pathlib.Path) -> dict[str, dict[str, list[str]]]:
    """Reads train.csv, val.csv and test.csv (columns filename, label).

    Args:
        folder: holds the three files, or `miniimagenet_csv.zip` with them.

    Returns:
        {split: {class: file names in the order of the file}}.

    Raises:
        DataMissingError: a file is missing or is no such table; names the file and the line.
    """
    return {split: _read(pathlib.Path(folder), f"{part}.csv") for split, part in FILE_PARTS.items()}


def _read(folder: pathlib.Path, name: str) -> dict[str, list[str]]:
    path = folder / name
    if not path.is_file():
        path = folder / ZIP
    if not path.is_file():
        raise DataMissingError(
            f"{folder} holds neither {name} nor {ZIP}: the split's csv files say which images to take (--csv FOLDER)"
        )
    try:
        if path.name == ZIP:
            with zipfile.ZipFile(path) as archive:
                content = archive.read(name)
        else:
            content = path.read_bytes()
        return _parse(content.decode().splitlines())
    except Exception as error:  # a broken archive can raise nearly anything
        raise file_error(path, f"{name}: {error}") from None


def _parse(lines: list[str]) -> dict[str, list[str]]:
    if not lines or lines[0] != "filename,label":
        raise ValueError(f"the first line is {lines[0][:80] if lines else ''!r}, 'filename,label' is expected")
    classes: dict[str, list[str]] = {}
    seen = set()
    for number, row in enumerate(csv.reader(lines[1:]), 2):
        match = NAME.fullmatch(row[0]) if len(row) == 2 else None
        if match is None or match[1] != row[1] or int(match[2]) == 0 or row[0] in seen:
            raise ValueError(
                f"line {number} is {row}; a line like n0153282900000005.jpg,n01532829 is expected, each file once"
            )
        seen.add(row[0])
        classes.setdefault(row[1], []).append(row[0])
    return classes
