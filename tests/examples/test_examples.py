"""The examples run, print what they promise, use the public API only and are short."""

import ast
import importlib
import re

import pytest
from helpers import ROOT, run_python

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def numbers(pattern, output):
    return [float(value) for value in re.findall(pattern, output)]


@pytest.fixture
def run(capsys):
    """run(name) -> what an example prints."""

    def run_here(name):
        importlib.import_module(f"examples.{name}").main()
        return capsys.readouterr().out

    return run_here


def test_regression(run):
    output = run("regression")
    errors = numbers(r"squared error (\S+) ±", output)
    assert len(errors) == 5
    assert errors[4] < errors[0] < 1.0  # the mean of the lines' squares is 16/9
    assert numbers(r"prediction at 0.5: (\S+),", output)[0] == pytest.approx(2.0, abs=0.2)


def test_image_classifier(run):
    accuracies = numbers(r"accuracy (\S+) ±", run("image_classifier"))
    assert len(accuracies) == 3
    assert min(accuracies) > 50  # chance is 20 %


def test_image_folder():
    """In a process that imports nothing else."""
    done = run_python("-m", "examples.image_folder")
    assert done.returncode == 0, done.stderr
    output = done.stdout
    assert re.search(r"gradient steps +support set +query set\n", output)
    assert numbers(r"accuracy (\S+) ±", output)[0] > 60  # chance is 33 %


def test_discrete_environment(run):
    before, after, _ = numbers(r"mean return (\S+)", run("discrete_environment"))
    assert after > max(2.0, before)  # always to the right side gives 8, to a random one 0


def test_application_model(run):
    accuracies = numbers(r"accuracy (\S+) ±", run("application_model"))
    assert len(accuracies) == 3
    assert min(accuracies) > 70  # chance is 33 %


def test_text_classifier(run):
    accuracies = numbers(r"accuracy (\S+) ±", run("text_classifier"))
    assert len(accuracies) == 2
    assert min(accuracies) > 85  # chance is 50 %


def test_environment(run):
    before, after, _ = numbers(r"mean return (\S+)", run("environment"))
    assert after > 0.7 * before  # returns are negative; standing still at the start gives -11


def test_save_and_load(run):
    here, there = numbers(r"(\S+) (?:here|after loading)", run("save_and_load"))
    assert here == pytest.approx(there, abs=1e-5)
    assert here == pytest.approx(0.48, abs=0.5)  # the sine of 0.5, from ten points


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_imports_maml_tf_as_mt_only(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    ours = [ast.unparse(node) for node in imports if "maml_tf" in ast.unparse(node)]
    assert ours == ["import maml_tf as mt"]


def test_every_example_has_a_test_and_a_line_in_the_readme():
    readme = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES:
        assert f"`{path.name}`" in readme
        assert f"test_{path.stem}" in globals()
