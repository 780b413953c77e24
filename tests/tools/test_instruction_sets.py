"""The script that runs tests under several instruction sets."""

import pytest
from tools import instruction_sets
from tools.instruction_sets import QUICK, ROOT, SENSITIVE, SETTINGS, main


@pytest.mark.parametrize("path", [*SENSITIVE, *QUICK])
def test_the_paths_exist(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", QUICK)
def test_the_quick_paths_are_among_the_sensitive_ones(path):
    assert any(path.startswith(folder) for folder in SENSITIVE)


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
