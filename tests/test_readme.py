"""The README is true: its example runs, its targets exist, its table is the newest."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run_example(number):
    """What the README's Python example of that number prints."""
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[number]
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_supervised_example_runs_and_gives_what_it_says():
    value = float(re.search(r"\[\[(.*?)\]\]", run_example(0))[1])
    assert abs(value - 2.0) < 0.2


def test_the_environment_of_ones_own_is_adapted_to():
    before, after, _ = (float(value) for value in re.findall(r"mean return (.*)", run_example(1)))
    assert after > 0.7 * before  # standing still at the start gives -11 a trajectory


def test_every_make_target_in_it_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]+)", README, re.MULTILINE)) | {"fig3", "fig6", "fig7"}
    assert len(named) > 10
    for target in named:
        rules = (target, "table1-%") if target.startswith("table1-") else (target,)
        assert any(re.search(rf"^{rule}:", makefile, re.MULTILINE) for rule in rules), target


def test_its_table_is_the_newest_comparison():
    changed = subprocess.run(
        ["git", "status", "--porcelain", "reproduce/results"], cwd=ROOT, capture_output=True, text=True
    )
    if changed.returncode or changed.stdout:
        pytest.skip("the results here are not the committed ones: a reproduction was run")
    from reproduce import compare as script

    targets = script.read_targets(ROOT / "reproduce" / "targets.yaml")
    known = script.read_known_failures(ROOT / "reproduce" / "known_failures.yaml", targets)
    judged = script.compare(targets, script.read_results(ROOT / "reproduce" / "results"), known)
    table = script.readme_table(judged, skip=(script.NOT_RUN, script.CITATION))
    assert README.split(script.README_START)[1].split(script.README_END)[0].strip() == table.strip()


def test_every_picture_in_it_exists():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).stat().st_size > 10_000
