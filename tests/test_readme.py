"""The README is true: its example runs, its targets exist, its table is the newest."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs_and_gives_what_it_says():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    value = float(re.search(r"\[\[(.*?)\]\]", done.stdout)[1])
    assert abs(value - 2.0) < 0.2


def test_every_make_target_in_it_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]+)", README, re.MULTILINE)) | {"fig3", "fig6", "fig7"}
    assert len(named) > 10
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_its_table_is_the_newest_comparison():
    changed = subprocess.run(
        ["git", "status", "--porcelain", "reproduce/results"], cwd=ROOT, capture_output=True, text=True
    )
    if changed.returncode or changed.stdout:
        pytest.skip("the results here are not the committed ones: a reproduction was run")
    sys.path.insert(0, str(ROOT / "reproduce"))
    import compare as script

    targets = script.read_targets(ROOT / "reproduce" / "targets.yaml")
    known = script.read_known_misses(ROOT / "reproduce" / "known_misses.yaml", targets)
    judged = script.compare(targets, script.read_results(ROOT / "reproduce" / "results"), known)
    table = script.markdown_table(judged, skip=(script.NOT_RUN, script.CITATION))
    assert README.split(script.README_START)[1].split(script.README_END)[0].strip() == table.strip()


def test_every_picture_in_it_exists():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).stat().st_size > 10_000
