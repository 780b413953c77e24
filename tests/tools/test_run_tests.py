"""The script that runs all tests in parts."""

import pathlib
import re
import subprocess
import sys

import pytest
from helpers import ROOT
from tools import run_tests
from tools.run_tests import PARTS, Part, run_and_print, split, words_of


def test_every_test_file_is_in_one_part_or_in_the_parts_of_a_split():
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        name = file.relative_to(ROOT).as_posix()
        selections = []
        for part in PARTS:
            words = words_of(part, PARTS)
            ignored = [word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")]
            if any(f"{name}/".startswith(f"{path}/") for path in part.paths) and not any(
                f"{name}/".startswith(f"{path}/") for path in ignored
            ):
                selections.append(part.select)
        assert len(selections) == 1 or len(set(selections)) == len(selections), name
        assert (len(selections) == 1) == (selections[0] == ""), name


def test_every_path_of_a_part_exists():
    for part in PARTS:
        for path in part.paths:
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["", "a", "b", "a b", "c"])
def test_each_test_is_in_one_part_of_a_split(name):
    chosen = [eval(part.select, {}, {word: word in name for word in "ab"}) for part in split("path", "a", "b")]
    assert sum(chosen) == 1


def all_pass(parts, processes):
    """Whether all tests of the parts pass, which are run and printed."""
    return all(run.passed for run in list(run_and_print(parts, processes)))


@pytest.fixture
def tests(tmp_path, monkeypatch):
    """tests(a=code, b=code) -> a part for each, with the file test_a.py and so on.

    pytest loads no plugins that these do not need. To import hypothesis takes a second.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def write(**code):
        for name, text in code.items():
            (tmp_path / f"test_{name}.py").write_text(text, encoding="utf-8")
        return [Part([str(tmp_path / f"test_{name}.py")]) for name in code]

    return write


def test_a_failure_is_shown_and_the_other_parts_run(tests, capfd):
    parts = tests(fails="def test_it(): assert 1 + 1 == 3, 'arithmetic'", passes="def test_it(): pass")
    assert not all_pass(parts, 2)
    printed = capfd.readouterr().out
    assert "AssertionError: arithmetic" in printed
    assert f"FAILED: {parts[0].paths[0]}" in printed
    assert f"passed: {parts[1].paths[0]}" in printed


def test_the_last_line_has_the_sums(tests, monkeypatch, capfd):
    for code, result in (("def test_it(): pass", "passed"), ("def test_it(): assert False", "FAILED")):
        monkeypatch.setattr(run_tests, "PARTS", tests(a=code))
        assert run_tests.main(["--processes", "1"]) == (result == "FAILED")
        assert re.search(rf"\n{result} in \d+ s, 1 at a time, \d+ s of processor time, peak ", capfd.readouterr().out)


def test_a_selection_may_leave_no_test_but_a_missing_file_fails(tests):
    (part,) = tests(passes="def test_it(): pass")
    assert all_pass([part._replace(select="nothing")], 1)
    assert not all_pass([Part([f"{part.paths[0]}.missing"])], 1)


def test_the_peak_memory_of_a_part_is_that_of_the_largest_process(tests, tmp_path):
    (tmp_path / "large.py").write_text("assert len(bytearray(b'x' * 2**28)) == 2**28", encoding="utf-8")
    child = f"import subprocess, sys\ndef test_it(): subprocess.run([sys.executable, {str(tmp_path / 'large.py')!r}])"
    parts = [tuple(part) for part in tests(small="def test_it(): pass", child=child)]
    # In a process of a few megabytes: a child counts the memory of the process that starts it as its peak.
    code = (
        "from run_tests import Part, run_parts\n"
        f"for part in {parts!r}: print(*(ended.peak_gb for ended in run_parts([Part(*part)], 1)))"
    )
    folder = pathlib.Path(run_tests.__file__).parent
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    small, grown = map(float, printed.split())
    assert grown > small + 0.25


def test_no_more_processes_run_than_asked_for(tests, tmp_path):
    code = f"""
import pathlib, time
def test_it():
    running = pathlib.Path({str(tmp_path)!r}, "running")
    running.touch(exist_ok=False)
    time.sleep(0.2)
    running.unlink()
"""
    assert all_pass(tests(a=code, b=code, c=code), 1)


@pytest.mark.parametrize("processes", ["0", "-1", "two", "1.5"])
def test_the_number_of_processes_is_checked(processes, capsys, monkeypatch):
    monkeypatch.setattr(run_tests, "run_and_print", lambda *_: pytest.fail("started"))
    with pytest.raises(SystemExit) as stopped:
        run_tests.main([f"--processes={processes}"])
    assert stopped.value.code == 2
    assert f"{processes} is not allowed; expected a whole number from 1" in capsys.readouterr().err
