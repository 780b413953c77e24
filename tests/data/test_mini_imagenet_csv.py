"""The csv files of mini-ImageNet's split: a wrong one is named, and they are read from their zip too."""

import zipfile

import pytest
from mini_imagenet_folders import ready_jpegs

from maml_tf.errors import DataMissingError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html><body>404</body></html>", "val.csv .* is an HTML page"),
        ("label,filename\n", "the first line is"),
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
