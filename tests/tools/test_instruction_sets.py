"""The script that runs tests under several instruction sets."""

import pytest
from tools import instruction_sets
from tools.instruction_sets import QUICK, ROOT, SETTINGS, main, run_tests
from tools.run_tests import PARTS, Part


@pytest.mark.parametrize("path", QUICK)
def test_the_paths_exist(path):
    assert (ROOT / path).exists()


@pytest.fixture
def run(monkeypatch):
    """The (parts, processes, environment) that are run."""
    run = []
    monkeypatch.setattr(instruction_sets, "run_and_print", lambda *arguments: run.append(arguments) or True)
    return run


def test_by_default_all_tests_run_under_every_setting(run):
    assert main(["--processes", "1"]) == 0
    assert len(run) == len(SETTINGS) >= 5
    for (parts, processes, environment), setting in zip(run, SETTINGS.values(), strict=True):
        assert [part.paths for part in parts] == [part.paths for part in PARTS]
        assert processes == 1
        assert environment.items() >= setting.environment.items()


def test_the_quick_paths_are_shared_among_the_processes(run):
    assert main(["default", "--quick", "--processes", "3"]) == 0
    ((parts, _, _),) = run
    assert len(parts) == 3
    assert sorted(path for part in parts for path in part.paths) == sorted(QUICK)


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
    test = tmp_path / "test_blas.py"
    test.write_text(
        "import os\ndef test_it(): assert os.environ['OPENBLAS_CORETYPE'] == 'Prescott'\n", encoding="utf-8"
    )
    assert main(["sse", str(test)]) == 0
    assert main(["sse", "default", str(test)]) == 1
    assert "== default: FAILED" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["sse5"], "sse5"), (["tests/no_such"], "tests/no_such"), (["tests/meta", "--quick"], "--quick")],
)
def test_wrong_arguments_are_named(arguments, named, capsys, monkeypatch):
    monkeypatch.setattr(instruction_sets, "run_tests", lambda *_: pytest.fail("started"))
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err
