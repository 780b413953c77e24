"""The README is short and true: its example runs, its targets and links exist, its tables are the newest."""

import pathlib
import re
import subprocess
import sys

import pytest

from reproduce.comparison.pages.blocks import pages_of, refreshed
from reproduce.comparison.pages.makers import MAKERS
from reproduce.comparison.pages.record import read_record

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short():
    assert README.count("\n") <= 150
    assert len(README.encode("utf-8")) <= 9 * 1024


def test_the_example_runs_and_gives_what_it_says():
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    value = float(re.search(r"\[\[(.*?)\]\]", done.stdout)[1])
    assert abs(value - 2.0) < 0.2


def test_every_make_target_in_it_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]+)", README, re.MULTILINE)) | {"table4", "table5"}
    assert len(named) >= 10
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_and_path_in_it_exists():
    linked = [path for path in re.findall(r"\]\((.*?)\)", README) if not path.startswith("http")]
    named = re.findall(r"`([\w./-]+/(?:[\w.-]+)?)`", README)
    assert len(linked) >= 2
    assert len(named) >= 10
    for path in {*linked, *named} - {"site/"}:
        assert (ROOT / path).exists(), path


@pytest.fixture(scope="module")
def record():
    return read_record(ROOT)


@pytest.mark.parametrize("page", pages_of(ROOT), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_generated_parts_are_the_newest(page, record):
    assert page.read_text(encoding="utf-8") == refreshed(page, MAKERS, record), "make docs writes them again"
