"""The comparison of two commits finds every difference that it should, and none that it should not."""

import json
import pathlib
import subprocess

import numpy as np
import pytest
from tools import same_bits

RUN_FOLDER = pathlib.Path("runs/some_spec/smoke-0123456789/seed_1")
STATE = {
    "iteration": np.int32(2),
    "params_0": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    "first_0": np.full((2, 3), 1e-3, np.float32),
    "losses": np.array([[1.0, 0.5], [2.0, np.nan]]),
    "seconds": np.array([1.0, 2.0]),
    "trained_at": np.array(["abc"]),
}
RESULT = {
    "spec": "some_spec",
    "curves": {"5_shot": {"mean": [1.25, 0.1 + 0.2], "per_seed": [[1.25, 0.1 + 0.2]]}},
    "settings": {"seed_1": {"training_seconds": 3.0, "best_iteration": 2}},
    "git_commit": "abc",
    "wall_seconds": 5.0,
}


def write(folder, state=None, result=None, result_path="runs/some_spec/measured/some_spec.json"):
    """Writes what a training leaves behind, with changes; a value of None removes a key."""

    def changed(content, changes):
        return {key: value for key, value in (content | (changes or {})).items() if value is not None}

    (folder / RUN_FOLDER).mkdir(parents=True)
    np.savez(folder / RUN_FOLDER / "state.npz", **changed(STATE, state))
    path = folder / result_path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(changed(RESULT, result)), encoding="utf-8")
    return folder


def test_times_commits_and_the_place_of_the_result_may_differ(tmp_path):
    old = write(tmp_path / "old")
    new = write(
        tmp_path / "new",
        state={"seconds": np.array([9.0, 9.0]), "trained_at": np.array(["def"])},
        result={
            "settings": {"seed_1": {"training_seconds": 4.0, "best_iteration": 2}},
            "git_commit": "def",
            "wall_seconds": 6.0,
        },
        result_path="results/partial/some_spec.json",
    )
    assert same_bits.compare(old, new, "some_spec") == ([], [])


ONE_BIT = STATE["params_0"].copy()
ONE_BIT[1, 2] = np.nextafter(ONE_BIT[1, 2], np.float32(2))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"params_0": ONE_BIT}, "params_0: 1 of 6 entries differ, by 1.19e-07 at most; the largest entry is 1"),
        ({"params_0": STATE["params_0"].astype(np.float64)}, "params_0: float32 [2, 3] became float64 [2, 3]"),
        ({"params_0": STATE["params_0"].T}, "params_0: float32 [2, 3] became float32 [3, 2]"),
        ({"first_0": -0.0 * STATE["first_0"]}, "first_0: 6 of 6 entries differ"),
        ({"losses": np.array([[1.0, 0.5], [2.0, 1.0]])}, "losses: 1 of 4 entries differ"),
        ({"first_0": None}, "first_0: not written by new"),
        ({"best_0": np.zeros(3)}, "best_0: not written by old"),
    ],
)
def test_a_change_of_a_state_is_found(state, expected, tmp_path):
    old, new = write(tmp_path / "old"), write(tmp_path / "new", state=state)
    (line,), notes = same_bits.compare(old, new, "some_spec")
    assert line.startswith(f"{RUN_FOLDER}/state.npz: {expected}")
    assert notes == []


def test_the_sign_of_zero_counts(tmp_path):
    zeros = np.zeros(3, np.float32)
    old, new = write(tmp_path / "old", state={"best_0": zeros}), write(tmp_path / "new", state={"best_0": -zeros})
    (line,), _ = same_bits.compare(old, new, "some_spec")
    assert "best_0: 3 of 3 entries differ" in line


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            {"curves": {"5_shot": {"mean": [1.25, 0.3], "per_seed": RESULT["curves"]["5_shot"]["per_seed"]}}},
            "curves.5_shot.mean: [1.25, 0.30000000000000004] became [1.25, 0.3]",
        ),
        ({"curves": {}}, "curves.5_shot: not written by new"),
        ({"settings": {"seed_1": {"best_iteration": 1}}}, "settings.seed_1.best_iteration: 2 became 1"),
    ],
)
def test_a_change_of_a_result_is_found(result, expected, tmp_path):
    old, new = write(tmp_path / "old"), write(tmp_path / "new", result=result)
    assert same_bits.compare(old, new, "some_spec") == ([f"result: {expected}"], [])


def test_what_is_added_is_a_note(tmp_path):
    old, new = write(tmp_path / "old"), write(tmp_path / "new", result={"checked": True})
    np.savez(new / "runs" / "some_spec" / "weights.npz", kernel=np.zeros(3))
    np.savez(new / "runs" / "of_another_spec.npz", kernel=np.zeros(3))
    assert same_bits.compare(old, new, "some_spec") == (
        [],
        ["runs/some_spec/weights.npz: not written by old", "result: checked: only written by new"],
    )


def test_another_run_folder_and_a_missing_result_are_found(tmp_path):
    old, new = write(tmp_path / "old"), write(tmp_path / "new")
    (new / RUN_FOLDER).rename(new / RUN_FOLDER.parent / "seed_2")
    (new / "runs/some_spec/measured/some_spec.json").unlink()
    differences, _ = same_bits.compare(old, new, "some_spec")
    assert differences == [
        f"{RUN_FOLDER}/state.npz: not written by new",
        f"{RUN_FOLDER.parent}/seed_2/state.npz: not written by old",
        "result: not written by new",
    ]


def test_no_result_at_all_is_a_difference(tmp_path):
    assert same_bits.compare(tmp_path, tmp_path, "some_spec") == (
        ["result: not written by old", "result: not written by new"],
        [],
    )


@pytest.fixture
def commits(tmp_path, monkeypatch):
    """A repository of two commits whose command line writes a state and a result; `factor.txt` holds what differs."""
    repository = tmp_path / "repository"
    (repository / "maml_tf").mkdir(parents=True)
    (repository / same_bits.SPECS).mkdir(parents=True)
    for name in ("first", "second"):
        (repository / same_bits.SPECS / f"{name}.yaml").write_text("method: none\n")
    (repository / "maml_tf" / "__main__.py").write_text(TRAINING)

    def git(*arguments):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)

    git("init", "--quiet")
    for commit, factor in (("one", "1"), ("same", "1\n"), ("two", "2"), ("broken", "no number"), ("crashing", "1")):
        (repository / "factor.txt").write_text(factor)
        (repository / "crash.txt").write_text(str(commit == "crashing"))
        git("add", "--all")
        git("commit", "--quiet", "--message", commit)
        git("tag", commit)
    monkeypatch.setattr(same_bits, "ROOT", repository)
    return repository


TRAINING = """
import json, pathlib, sys
import numpy as np
import maml_tf
runs = pathlib.Path(sys.argv[sys.argv.index("--runs") + 1])
assert sys.argv[1] == "train" and pathlib.Path(maml_tf.__path__[0]).parent == pathlib.Path.cwd()
factor = float(pathlib.Path("factor.txt").read_text())
for spec in map(pathlib.Path, sys.argv[2 : sys.argv.index("--profile")]):
    assert spec.exists()
    (runs / spec.stem).mkdir(parents=True)
    np.savez(runs / spec.stem / "state.npz", params_0=factor * np.ones(2))
    (runs / f"{spec.stem}.json").write_text(json.dumps({"curves": {"curve": factor}, "settings": {}}))
sys.exit("crashed at the end" if pathlib.Path("crash.txt").read_text() == "True" else 0)
"""


def run(*arguments, data):
    return same_bits.main([*arguments, "--data", str(data)])


def test_two_commits_with_the_same_bits(commits, tmp_path, capsys):
    assert run("one", "same", "--specs", "first", data=tmp_path) == 0
    assert "first: same bits\n1 of 1 specs have the same bits" in capsys.readouterr().out


def test_two_commits_with_other_bits(commits, tmp_path, capsys):
    assert run("one", "two", "--keep", str(tmp_path / "kept"), data=tmp_path) == 1
    out = capsys.readouterr().out
    assert "runs/second/state.npz: params_0: 2 of 2 entries differ, by 1 at most; the largest entry is 1" in out
    assert "result: curves.curve: 1.0 became 2.0" in out
    assert "0 of 2 specs have the same bits" in out
    assert (tmp_path / "kept/old/runs/first/state.npz").exists()
    listed = subprocess.run(["git", "worktree", "list"], cwd=commits, capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1  # the worktrees are gone


def test_a_training_that_fails_is_a_difference(commits, tmp_path, capsys):
    assert run("one", "broken", "--specs", "second", data=tmp_path) == 1
    assert "new: training second ended with exit code 1: ValueError: could not convert" in capsys.readouterr().out


def test_a_training_that_fails_after_writing_the_same_bits_is_reported(commits, tmp_path, capsys):
    assert run("one", "crashing", data=tmp_path) == 1
    out = capsys.readouterr().out
    assert "new: training first, second ended with exit code 1: crashed at the end" in out
    assert "2 of 2 specs have the same bits" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one", "no_such_commit"], "no_such_commit"),
        (["one", "two", "--specs", "third"], "third: no such spec at one; it has first, second"),
    ],
)
def test_wrong_usage_is_named(arguments, message, commits, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments, data=tmp_path)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_made_up_data_is_what_its_manifest_says(tmp_path, monkeypatch):
    from maml_tf.tasks.image_set import read_image_set

    monkeypatch.setattr(same_bits, "ROOT", tmp_path)
    monkeypatch.setattr(same_bits, "DATA_SETS", [("omniglot", 3, 2, (4, 4, 1))])
    images = read_image_set(same_bits.data_folder(None, tmp_path), "omniglot", verify=True).images
    assert images.shape == (3, 2, 4, 4, 1)
    assert len(np.unique(images)) > 50
