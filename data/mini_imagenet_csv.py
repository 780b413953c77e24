"""The csv files of Ravi and Larochelle's split, which list the images of mini-ImageNet."""

import codecs
import csv
import pathlib
import posixpath
import re
import zipfile

from integrity import HTML, CorruptFileError, describe, file_error
from mini_imagenet import FILE_PARTS

from maml_tf.errors import DataMissingError

NAME = re.compile(r"(n\d{8})(\d{8})\.jpg")
ZIP = "miniimagenet_csv.zip"
COLUMNS = ("filename", "label")


def read_csv_files(folder: str | pathlib.Path) -> dict[str, dict[str, list[str]]]:
    """Reads train.csv, val.csv and test.csv (columns filename and label, in any order and next to others).

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
    except Exception as error:  # a broken archive can raise nearly anything
        raise file_error(path, f"{name}: {error}") from None
    try:
        return _parse(_text(content).splitlines())
    except ValueError as error:
        what = describe(content)
        what = what if what == HTML else "not a table of the split"
        raise CorruptFileError(f"{path} ({len(content)} bytes) is {what}: {name}: {error}") from None


def _text(content: bytes) -> str:
    """The text of a file that an editor or a spreadsheet may have saved again."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def _parse(lines: list[str]) -> dict[str, list[str]]:
    """{class: file names}. Columns may be quoted, in any order and next to others, such as an index."""
    delimiter = next((mark for mark in ",;\t" if lines and mark in lines[0]), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    header = [cell.lower() for cell in numbered[0][1]] if numbered else []
    if not set(COLUMNS) <= set(header):
        raise ValueError(
            f"the first line is {lines[0][:80] if lines else ''!r}, the columns filename and label are expected"
        )
    columns = [header.index(column) for column in COLUMNS]
    classes: dict[str, list[str]] = {}
    seen = set()
    for number, row in numbered[1:]:
        file, label = (row[column] if column < len(row) else "" for column in columns)
        match = NAME.fullmatch(posixpath.basename(file.replace("\\", "/")))
        if match is None or match[1] != label or int(match[2]) == 0 or match[0] in seen:
            raise ValueError(
                f"line {number} is {row}; a line like n0153282900000005.jpg,n01532829 is expected, each file once"
            )
        seen.add(match[0])
        classes.setdefault(label, []).append(match[0])
    if not classes:
        raise ValueError("it lists no images")
    return classes
