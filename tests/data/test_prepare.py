"""The command `python data/prepare.py`: its arguments, its messages and its exit codes."""

import runpy
import sys

import pytest
from helpers import ROOT, run_python


@pytest.fixture
def prepare(tmp_path, monkeypatch, capsys):
    """prepare(*arguments) -> (exit code, output) of the command, with its folders below tmp_path."""

    def run(*arguments):
        folders = ("--prepared", tmp_path / "prepared", "--downloads", tmp_path / "downloads")
        monkeypatch.setattr(sys, "argv", ["prepare.py", *map(str, (*arguments, *folders))])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "data" / "prepare.py"), run_name="__main__")
        output = "".join(capsys.readouterr())
        assert "Traceback" not in output
        assert not [path for path in tmp_path.rglob("*") if path.suffix in (".npy", ".json", ".part")]
        return end.value.code, output

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--no-such-option",), "unrecognized arguments"),
        (("cifar",), "'cifar' is none of omniglot, mini-imagenet"),
        (("--mirror", "absent"), "absent: there is no such folder"),
        (("mini-imagenet", "--jpegs", "absent"), "absent: there is no such folder"),
        (("--jpegs", ".", "--pickles", "."), "not allowed with argument"),
        (("--pickles", ".", "--csv", "."), "--csv: needs --imagenet or --jpegs"),
    ],
)
def test_wrong_usage_ends_with_2(prepare, arguments, message):
    code, output = prepare(*arguments)
    assert (code, message in output) == (2, True), output


def test_missing_or_damaged_data_ends_with_3(prepare, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, content, arguments, message in (
        (None, None, ("omniglot", "--mirror", mirror), "holds neither omniglot.npz nor images_background.zip"),
        (None, None, ("mini-imagenet", "--mirror", mirror), "Give one of --imagenet, --jpegs, --pickles or --mirror"),
        (None, None, ("mini-imagenet", "--jpegs", mirror), "holds neither train.csv nor miniimagenet_csv.zip"),
        (None, None, ("mini-imagenet", "--pickles", mirror), "mini-imagenet-cache-train.pkl is missing"),
        ("images_background.zip", b"<html>", ("omniglot", "--mirror", mirror), "68d2efa1b9178cc56df9314c21c6e718 is"),
        ("miniimagenet_val.npz", b"", ("mini-imagenet", "--mirror", mirror), "miniimagenet_train_0.npz is missing"),
    ):
        if name:
            (mirror / name).write_bytes(content)
        code, output = prepare(*arguments)
        assert (code, message in output) == (3, True), output


def test_what_a_killed_preparation_left_is_removed_at_the_next_start(prepare, tmp_path):
    for folder in ("prepared", "downloads"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ".omniglot.npy.x1y2.part").write_bytes(b"half")
    code, output = prepare("omniglot", "--mirror", tmp_path)
    assert code == 3
    assert output.count(".part: removed, an earlier preparation was stopped") == 2


def test_a_file_in_place_of_a_folder_is_named(prepare, tmp_path):
    (tmp_path / "prepared").write_text("")
    code, output = prepare()
    assert (code, "prepared: this is a file, a folder is needed" in output) == (2, True), output


def test_the_command_runs_by_itself():
    done = run_python("data/prepare.py", "--help")
    assert (done.returncode, "--mirror FOLDER" in done.stdout) == (0, True), done.stderr
