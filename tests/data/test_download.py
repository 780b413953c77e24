"""Downloads: a file is complete and correct, or an error says what came instead."""

import hashlib
import http.client
import io
import urllib.error

import authors_checkpoint
import download
import pytest

from maml_tf.errors import DataMissingError
from maml_tf.models.authors_checkpoint import RELEASED_FILES

RIGHT = b"the archive"
MD5 = hashlib.md5(RIGHT).hexdigest()


@pytest.fixture
def serve(monkeypatch):
    """serve(content): the server answers with this content from now on. An exception is raised."""

    def answer(content):
        def urlopen(url, timeout):
            if isinstance(content, Exception):
                raise content
            return io.BytesIO(content)

        monkeypatch.setattr(download.urllib.request, "urlopen", urlopen)

    return answer


def test_the_right_file_is_kept_and_not_fetched_twice(tmp_path, serve):
    path = tmp_path / "downloads" / "file.zip"
    serve(RIGHT)
    download.fetch("https://x", path, MD5)
    assert path.read_bytes() == RIGHT
    serve(urllib.error.URLError("no route"))
    download.fetch("https://x", path, MD5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (urllib.error.URLError("no route"), r"https://x cannot be downloaded .*no route.* Bring the file by hand to"),
        (http.client.IncompleteRead(b"the", 8), r"https://x cannot be downloaded .*3 bytes read"),
        (TimeoutError("timed out"), r"https://x cannot be downloaded .*timed out"),
        (b"<!DOCTYPE html><html>limit</html>", rf"33 bytes that are an HTML page.*: their MD5 is \w+, {MD5} is expec"),
        (RIGHT[:4], r"gave 4 bytes that are damaged or incomplete"),
    ],
)
def test_anything_else_is_named_and_nothing_is_left(tmp_path, serve, content, message):
    serve(content)
    with pytest.raises(DataMissingError, match=message):
        download.fetch("https://x", tmp_path / "file.zip", MD5)
    assert not list(tmp_path.iterdir())


def test_a_sha_256_is_told_from_an_md5(tmp_path, serve):
    path, sha256 = tmp_path / "model59000.index", hashlib.sha256(RIGHT).hexdigest()
    serve(RIGHT[::-1])
    with pytest.raises(
        DataMissingError, match=rf"https://x gave 11 bytes .* SHA-256 is \w{{64}}, {sha256} is expected"
    ):
        download.fetch("https://x", path, sha256)
    assert not path.exists()
    serve(RIGHT)
    download.fetch("https://x", path, sha256)
    path.write_bytes(RIGHT + b"\n")
    with pytest.raises(
        DataMissingError, match=rf"model59000.index \(12 bytes\) .* SHA-256 is \w{{64}}, {sha256} is exp"
    ):
        download.fetch("https://x", path, sha256)


def test_the_authors_files_are_fetched_with_their_checksums(tmp_path, serve):
    serve(b"<html>limit</html>")
    with pytest.raises(
        DataMissingError, match=rf"model59000.index gave .* {RELEASED_FILES['model59000.index']} is exp"
    ):
        authors_checkpoint.fetch(tmp_path)
    assert not (tmp_path / authors_checkpoint.FOLDER).exists()


def test_a_wrong_file_from_before_is_named_and_kept(tmp_path, serve):
    path = tmp_path / "file.zip"
    path.write_bytes(b"\n<html>sorry</html>")
    serve(RIGHT)
    with pytest.raises(DataMissingError, match=rf"file.zip \(19 bytes\) is an HTML page.* MD5 is \w+, {MD5} is expec"):
        download.fetch("https://x", path, MD5)
    assert path.exists()
    with pytest.raises(DataMissingError, match=r"absent.zip is missing"):
        download.check(tmp_path / "absent.zip", MD5)
