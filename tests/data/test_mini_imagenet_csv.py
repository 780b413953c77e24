"""The csv files of mini-ImageNet's split: a wrong one is named, and they are read from their zip too."""

import zipfile

import pytest
from mini_imagenet_folders import ready_jpegs

from maml_tf.errors import DataMissingError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html><body>404</body></html>", "val.csv .* is an HTML page"),
        ("label,filename\n", "it lists no images"),
        ("image,class\nn0000000400000001.jpg,n00000004\n", "the first line is 'image,class', the columns filename"),
        ("", "the first line is ''"),
        ("filename,label\nn0000000400000001.jpg,n00000005\n", "line 2 is"),
        ("filename,label\nn0000000400000000.jpg,n00000004\n", "line 2 is"),
        ("filename,label\n../../secret,n00000004\n", "line 2 is"),
        ("filename,label\n" + "n0000000400000001.jpg,n00000004\n" * 2, "line 3 is"),
    ],
)
def test_a_wrong_csv_file_is_named(jpeg_folder, csv_folder, content, message):
    (csv_folder / "val.csv").write_text(content)
    with pytest.raises(DataMissingError, match=message):
        ready_jpegs(jpeg_folder, csv_folder)


def test_csv_files_are_read_from_their_zip_too(jpeg_folder, csv_folder):
    counts = ready_jpegs(jpeg_folder, csv_folder).counts
    path = jpeg_folder / "miniimagenet_csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for csv_file in csv_folder.iterdir():
            archive.write(csv_file, csv_file.name)
    assert ready_jpegs(jpeg_folder, jpeg_folder).counts == counts
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataMissingError, match=r"miniimagenet_csv.zip \(\d+ bytes\) is damaged or incomplete"):
        ready_jpegs(jpeg_folder, jpeg_folder)
    path.unlink()
    with pytest.raises(DataMissingError, match=r"holds neither train.csv nor miniimagenet_csv.zip"):
        ready_jpegs(jpeg_folder, jpeg_folder)


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n") + "\r\n",
        lambda text: "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text + ",\n\n",
        lambda text: "\n".join(",".join(reversed(line.split(","))) for line in text.splitlines()),
        lambda text: "\n".join(f"{i - 1 if i else ''},{line}" for i, line in enumerate(text.splitlines())),
        lambda text: "\n".join(f"{line},{i or 'width'}" for i, line in enumerate(text.splitlines())),
        lambda text: text.replace("filename,label", "Filename,Label"),
        lambda text: text.replace("\nn", "\nimages/n"),
    ],
    ids=["BOM", "CRLF", "quotes", "spaces", ";", "tab", "empty", "order", "index", "more", "case", "folder"],
)
def test_a_file_that_was_saved_again_is_the_same_table(jpeg_folder, csv_folder, changed):
    expected = ready_jpegs(jpeg_folder, csv_folder)
    for path in csv_folder.iterdir():
        path.write_bytes(changed(path.read_text()).encode())
    found = ready_jpegs(jpeg_folder, csv_folder)
    assert (found.counts, found.files) == (expected.counts, expected.files)


def test_utf_16_is_read_too(jpeg_folder, csv_folder):
    expected = ready_jpegs(jpeg_folder, csv_folder).counts
    (csv_folder / "val.csv").write_text((csv_folder / "val.csv").read_text(), encoding="utf-16")
    assert ready_jpegs(jpeg_folder, csv_folder).counts == expected


def test_a_whole_file_with_another_table_is_not_called_damaged(jpeg_folder, csv_folder):
    (csv_folder / "val.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        DataMissingError, match=r"is not a table of the split: val.csv: the first line is 'a,b'"
    ) as error:
        ready_jpegs(jpeg_folder, csv_folder)
    assert "damaged" not in str(error.value)
