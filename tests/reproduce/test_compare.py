"""The command `python -m reproduce.compare`: its exit codes, on the published record and with parts of it removed."""

import json
import shutil
import subprocess
import sys

import pytest
from made_results import ROOT

from reproduce import paths

MAML = "sinusoid_5shot_maml_step1"


def compare(*arguments):
    command = [sys.executable, "-m", "reproduce.compare", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def record(tmp_path):
    """A copy of the published results, and a folder of runs without results."""
    for source in (paths.PUBLISHED.results, *(paths.PUBLISHED.results / folder for folder in ("half", "partial"))):
        target = tmp_path / "published" / source.relative_to(paths.PUBLISHED.results)
        target.mkdir(parents=True)
        for file in source.glob("*.json"):
            shutil.copy(file, target)
    return tmp_path / "published", tmp_path / "runs"


def run(record, *arguments):
    return compare("--published", record[0], "--runs", record[1], *arguments)


def test_the_record_passes_and_nothing_but_runs_is_written(record):
    before = {path: path.read_bytes() for path in record[0].rglob("*.json")}
    first = run(record)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "gated targets" in first.stdout
    assert {path: path.read_bytes() for path in record[0].rglob("*.json")} == before
    written = {name: (record[1] / name).read_text() for name in ("comparison.md", "comparison.json")}
    assert run(record).returncode == 0
    assert {name: (record[1] / name).read_text() for name in written} == written
    assert written["comparison.json"] == (paths.PUBLISHED.results / "comparison.json").read_text()
    assert written["comparison.md"] == (paths.PUBLISHED.results / "comparison.md").read_text()


def remove_all(folder):
    for file in folder.rglob("*.json"):
        file.unlink()


def remove_half(folder):
    for file in sorted(folder.glob("*.json"))[::2]:
        file.unlink()


def remove_one(folder):
    (folder / "point_navigation_oracle.json").unlink()


def remove_a_claims_curve(folder):
    path = folder / "sinusoid_oracle.json"
    content = json.loads(path.read_text())
    del content["curves"]["20_shot"]
    content["targets"] = {}
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("remove", [remove_all, remove_half, remove_one, remove_a_claims_curve])
def test_missing_results_fail_the_gate(record, remove):
    remove(record[0])
    failed = run(record)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "FAIL: the published results judge" in failed.stdout
    assert "result files or curves are missing" in failed.stdout


def test_a_drift_of_yours_fails_the_gate(record):
    own = record[1] / "results"
    own.mkdir(parents=True)
    content = json.loads((record[0] / "sinusoid_maml.json").read_text())
    for values in (content["curves"]["5_shot"]["per_seed"][seed] for seed in range(3)):
        values[1] = 9.0
    content["curves"]["5_shot"]["mean"][1] = 9.0
    content["targets"][MAML] |= {"mean": 9.0, "per_seed": [9.0] * 3}
    (own / "sinusoid_maml.json").write_text(json.dumps(content))
    failed = run(record)
    assert (failed.returncode, f"FAIL: {MAML}: yours" in failed.stdout) == (1, True), failed.stdout + failed.stderr
    assert "yours" in failed.stdout.splitlines()[0]


def test_a_broken_file_is_an_error_without_a_traceback(record):
    (record[0] / "sinusoid_maml.json").write_text("{")
    broken = run(record)
    assert (broken.returncode, "sinusoid_maml.json: not valid JSON" in broken.stderr) == (2, True)
    assert "Traceback" not in broken.stderr


def test_only_some_ids(record):
    assert run(record, "--only", MAML).returncode == 0  # and not step 10, whose id begins with it
    (record[0] / "sinusoid_maml.json").unlink()
    missing = run(record, "--only", "sinusoid_5shot_maml")
    assert (missing.returncode, "step5: there is no paper-scale result to judge" in missing.stdout) == (1, True)
    claim = run(record, "--only", "sinusoid_keeps_improving")
    assert (claim.returncode, "improving: there is no paper-scale result" in claim.stdout) == (1, True)
    unknown = run(record, "--only", "nothing")
    assert (unknown.returncode, "--only nothing: no id of targets.yaml begins with it" in unknown.stderr) == (2, True)
    assert "Traceback" not in unknown.stderr
