"""The documentation builds strictly, asks no network, names what exists, and shows the newest numbers."""

import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys

import pytest

from reproduce.comparison.pages.learning_curves import is_newest, pictures
from reproduce.comparison.pages.makers import MAKERS
from reproduce.comparison.pages.panels import PANELS, panel_of
from reproduce.comparison.pages.record import read_record

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXT = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
# A page that an included file makes has its text there.
INCLUDED = {name: re.findall(r'^--8<-- "(.+)"$', text, re.MULTILINE) for name, text in TEXT.items()}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built(site):
    assert {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")} == {*TEXT, "404.md"}


def test_no_page_loads_anything_from_the_network(site):
    for path in site.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?([^\s\">]+)", html)
        loaded += [link for link in re.findall(r"<link[^>]*>", html) if "http" in link and "canonical" not in link]
        assert [source for source in loaded if "//" in source] == [], path


def test_every_link_and_picture_of_the_site_exists(site):
    for path in site.rglob("*.html"):
        for target in re.findall(r"(?:href|src)=\"?([^\s\">#]+)", path.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|//", target) and path.name != "404.html":
                assert (path.parent / target).exists(), f"{path.relative_to(site)}: {target}"


def test_every_make_target_in_the_docs_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set().union(*(re.findall(r"`make ([a-z][a-z0-9-]+)", text) for text in TEXT.values()))
    assert len(named) > 25
    for target in named:
        rules = (target, "table1-%") if target.startswith("table1-") else (target,)
        assert any(re.search(rf"^{rule}:", makefile, re.MULTILINE) for rule in rules), target


def test_every_path_in_the_docs_exists():
    path = r"`((?:maml_tf|reproduce|benchmarks|tests)/[\w./-]*(?:/|\.\w+))`"
    named = {found for text in TEXT.values() for found in re.findall(path, text)}
    assert len(named) > 10
    assert [found for found in named if not (ROOT / found).exists()] == []


def test_every_number_of_the_paper_is_on_a_page():
    record = read_record(ROOT)
    shown = {name for text in TEXT.values() for name in re.findall(r"<!-- generated: ([\w-]+) -->", text)}
    assert {panel_of(target) for target in record.targets.entries} == set(PANELS)
    for panel in PANELS:
        assert "cited" in shown if panel == "table1-cited" else f"numbers-{panel}" in shown
    assert {name for name in MAKERS if name.startswith("variants-")} <= shown


def test_every_training_is_on_a_page():
    record = read_record(ROOT)
    text = "\n".join(TEXT.values())
    for result in record.results.values():
        assert f"]({'../' * 2}{record.path_of(result).relative_to(ROOT).as_posix()})" in text.replace(
            "](../reproduce", "](../../reproduce"
        ), result.spec


def test_learning_curves_are_drawn_from_the_newest_histories():
    wanted = pictures(read_record(ROOT))
    assert set((DOCS / "learning_curves").glob("*.svg")) == set(wanted)
    for path, result in wanted.items():
        assert is_newest(path, result), f"{path}: make docs draws it"


@pytest.mark.parametrize("name", TEXT)
def test_a_page_begins_with_its_title(name):
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in INCLUDED[name]] or [TEXT[name]]
    assert all(text.startswith("# ") for text in texts)
    assert all(len(text) > 600 for text in texts)


@pytest.mark.parametrize("name", TEXT)
def test_a_page_is_written_in_plain_words(name):
    found = re.findall(
        r"\b(so many|as far as|goes by|at hand|anew|beside|of its own|likewise|see there|whatever)\b", TEXT[name]
    )
    assert found == []


def test_the_environment_of_ones_own_is_adapted_to(eagerly):
    """The page does what examples/environment.py does, which tests/examples trains until it learns.

    Here the page's code runs with one iteration of two tasks.
    """
    code, *_ = re.findall(r"```python\n(.*?)```", TEXT["reinforcement_learning.md"], re.DOTALL)
    example = (ROOT / "examples" / "environment.py").read_text(encoding="utf-8")
    same = re.findall(r"^ *((?:\w+_space|tasks|sampler|learner|self.position) =.*|return .*)", code, re.MULTILINE)
    assert len(same) == 9
    assert set(same) <= {line.strip() for line in example.splitlines()}
    for written, small in (("tasks = 10", "tasks = 2"), ("trajectories=10", "trajectories=3"), ("=15", "=1")):
        assert code.count(written) == example.count(written) == 1
        code = code.replace(written, small)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, {"__name__": "__main__"})
    returns = [float(value) for value in re.findall(r"after \d gradient steps: mean return (.*)", output.getvalue())]
    assert len(returns) == 3
    # The goals are at -1 and 1: standing still gives -20 a trajectory, moving away at full speed -62.
    assert all(-62.0 <= value < 0.0 for value in returns)
