"""The command `maml_tf sweep`: what it prints, and what it refuses."""

import shlex
import sys

import pytest
from helpers import SPECS, run_python

from maml_tf.cli import main

SPEC = str(SPECS / "sinusoid_maml.yaml")


def sweep(capsys, *arguments):
    """(exit code, standard output, standard error) of the command."""
    code = 0
    try:
        main(["sweep", *map(str, arguments)])
    except SystemExit as ended:
        code = ended.code
    return code, *capsys.readouterr()


def test_the_dry_run_prints_a_quoted_command_for_each_training(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "a folder; with 'quotes'"
    folder.mkdir()
    monkeypatch.chdir(folder)
    options = ["--profile", "smoke", "--seeds", "4", "5", "--runs", "my runs", "--set", "inner.step_size=0.05"]
    code, printed, told = sweep(capsys, SPEC, "--dry-run", *options)
    lines = [shlex.split(line) for line in printed.splitlines()]
    assert code == 0
    assert [line[:5] for line in lines] == [["cd", str(folder), "&&", sys.executable, "-m"]] * 2
    own = ["--resume", "--train-only", "--profile", "smoke", "--runs", "my runs", "--data", "data/prepared"]
    ends = [["train", SPEC, "--seeds", seed, *own, "--set", "inner.step_size=0.05"] for seed in "45"]
    assert [line[6:] for line in lines] == ends
    assert "2 jobs: 2 waiting" in told
    assert "--seeds 4 5 --resume --profile smoke" in told
    assert not (folder / "my runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1", "1"], "seeds: [1, 1] is not allowed"),
        (["--cores-per-run", "0"], "--cores-per-run: '0' is not allowed; expected a whole number from 1"),
        (["--retries", "-1"], "--retries: '-1' is not allowed; expected a whole number from 0"),
        (["--launcher", "other"], "invalid choice: 'other'"),
        (["--slurm", "partition=long"], "--slurm: not with --launcher local"),
        (["--address", "auto"], "--address: not with --launcher local"),
        (["--launcher", "slurm", "--slurm", "partition"], "--slurm partition: expected KEY=VALUE"),
        (["--launcher", "slurm", "--slurm", "time=1", "time=2"], "--slurm time: given twice"),
        (["--set", "inner.step=1"], "inner: unknown key 'step'"),
        (["no.yaml"], "no.yaml"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(tmp_path, capsys, arguments, message):
    code, printed, told = sweep(capsys, SPEC, *arguments, "--runs", tmp_path / "runs")
    assert (code, message in told) == (2, True), told
    assert (printed, "Traceback" in told) == ("", False)


def test_a_sweep_does_not_load_tensorflow():
    code = f"import sys; from maml_tf.cli import main; main(['sweep', {SPEC!r}, '--dry-run']); " + (
        "print('tensorflow' in sys.modules)"
    )
    assert run_python("-c", code).stdout.splitlines()[-1] == "False"
