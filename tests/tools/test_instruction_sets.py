"""The script that runs tests under several instruction sets."""

import pytest
from tools import instruction_sets
from tools.instruction_sets import QUICK, ROOT, SETTINGS, main, run_tests
from tools.run_tests import PARTS, Ended, Part


@pytest.mark.parametrize("path", QUICK)
def test_the_paths_exist(path):
    assert (ROOT / path).exists()


@pytest.fixture
def run(monkeypatch):
    """The (parts, processes, environment) that are run."""
    run = []

    def run_nothing(*arguments):
        run.append(arguments)
        return [Ended(part, 0, "3 passed, 1 skipped in 5s", 5.0, 7.0, 1.5) for part in arguments[0]]

    monkeypatch.setattr(instruction_sets, "run_and_print", run_nothing)
    return run


def test_by_default_all_tests_run_under_every_setting(run):
    assert main(["--cores", "1"]) == 0
    assert len(run) == len(SETTINGS) >= 5
    for (parts, processes, environment), setting in zip(run, SETTINGS.values(), strict=True):
        assert [part.paths for part in parts] == [part.paths for part in PARTS]
        assert processes == 1
        assert environment.items() >= setting.environment.items()


def test_the_quick_paths_are_shared_among_the_cores(run, monkeypatch):
    monkeypatch.setattr(instruction_sets.os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(instruction_sets.os, "sched_setaffinity", lambda *_: None)
    assert main(["default", "--quick", "--cores", "3"]) == 0
    ((parts, _, _),) = run
    assert len(parts) == 3
    assert sorted(path for part in parts for path in part.paths) == sorted(QUICK)


def test_the_cores_are_those_that_the_tests_may_use(run, monkeypatch, capsys):
    allowed = [{3, 5}]
    monkeypatch.setattr(instruction_sets.os, "sched_getaffinity", lambda _: allowed[-1])
    monkeypatch.setattr(instruction_sets.os, "sched_setaffinity", lambda _, cores: allowed.append(set(cores)))
    assert main(["sse", "tests/meta", "--cores", "1", "2"]) == 0
    assert allowed == [{3, 5}, {3}, {3, 5}, {3, 5}, {3, 5}]
    assert [processes for _, processes, _ in run] == [1, 2]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[-2:]] == [
        ["sse", cores, "passed", "3", "0", "1", seconds, "s", "7", "s", "1.5", "GB"]
        for cores, seconds in (("1", "5"), ("2", "2"))
    ]


def test_what_passed_at_this_commit_is_not_run_again(run, monkeypatch, tmp_path, capsys):
    words = ["sse", "tests/meta", "tests/ops", "--cores", "1", "--record", str(tmp_path / "new" / "record")]
    for commit, number in (("a", 2), ("a", 0), ("b", 2), (None, 2), (None, 2), ("b", 0)):
        monkeypatch.setattr(instruction_sets, "commit", lambda commit=commit: commit)
        assert main(words) == 0
        assert len(run.pop()[0]) == number
        assert capsys.readouterr().out.splitlines()[-1].split()[2:4] == ["passed", "6"]
    record = tmp_path / "new" / "record"
    lines = record.read_text().splitlines()
    record.write_text("\n".join([lines[0], lines[1].replace('"passed": true', '"passed": false'), '{"sett']))
    monkeypatch.setattr(instruction_sets, "commit", lambda: "a")
    for number in (1, 1, 0):  # the first new line follows one that was cut off
        assert main(words) == 0
        assert len(run.pop()[0]) == number


def test_the_selections_of_a_part_and_a_setting_both_hold(run):
    run_tests("avx2", [Part(["tests/a"], "x and not y"), Part(["tests/b"])], 1)
    run_tests("default", [Part(["tests/a"], "x"), Part(["tests/b"])], 1)
    selections = [[part.select for part in parts] for parts, *_ in run]
    assert selections == [["(x and not y) and (not bfloat16)", "(not bfloat16)"], ["(x)", ""]]


def test_the_list_names_every_setting_and_variable(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    for name, setting in SETTINGS.items():
        assert f"{name}: {setting.description}" in printed
        assert all(f"{variable}={value}" in printed for variable, value in setting.environment.items())


def test_a_setting_reaches_the_tests_and_others_do_not(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # no plugin is needed, and to import one takes a second
    test = tmp_path / "test_blas.py"
    test.write_text(
        "import os\ndef test_it(): assert os.environ['OPENBLAS_CORETYPE'] == 'Prescott'\n", encoding="utf-8"
    )
    assert main(["sse", "default", str(test), "--cores", "1"]) == 1
    printed = capfd.readouterr().out
    assert "== sse on 1 cores: passed" in printed
    assert "== default on 1 cores: FAILED" in printed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["sse5"], "sse5"),
        (["tests/no_such"], "tests/no_such"),
        (["tests/meta", "--quick"], "--quick"),
        (["--cores", "0"], "0 is not allowed; expected a whole number from 1"),
        (["--cores", "100000"], "--cores 100000: this process may use "),
    ],
)
def test_wrong_arguments_are_named(arguments, named, capsys, monkeypatch):
    monkeypatch.setattr(instruction_sets, "run_tests", lambda *_: pytest.fail("started"))
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err
