"""The walks of docs/extending.md run as they are written."""

import ast
import contextlib
import inspect
import json
import pathlib
import re
import runpy
import shutil
import sys

import numpy as np
import pytest
import yaml
from helpers import operation_by_operation

from maml_tf.cli import main

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPRODUCE = ROOT / "reproduce"
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
# Each file of the page is a block whose first line names it.
FILES = {name: text for _, name, text in re.findall(r"```(python|yaml)\n# ([\w.]+)\n(.*?)```", PAGE, re.DOTALL)}
BARS = yaml.safe_load(FILES["bars_5way_1shot.yaml"])
SPECS = [name for name in FILES if name.startswith("bars_5way") and name.endswith(".yaml")]


@contextlib.contextmanager
def modules_of(folder, package):
    """Inside, a package is imported from a folder, not from the repository."""
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == package}

    def forget():
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]

    forget()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        forget()
        sys.modules.update(ours)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the files of the page, whose commands have been run, under the profile smoke."""
    folder = tmp_path_factory.mktemp("walks")
    for name, text in FILES.items():
        if name in SPECS:  # a spec of the page says where it differs from the data set's
            text = yaml.safe_dump(BARS | yaml.safe_load(text))
        (folder / name).write_text(text, encoding="utf-8")
    assert "python prepare_bars.py data\npython -m maml_tf train bars_5way_1shot.yaml --data data\n" in PAGE
    specs = [*SPECS, "line_navigation_maml.yaml"]
    with pytest.MonkeyPatch.context() as monkeypatch, operation_by_operation():
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["prepare_bars.py", "data"])
        runpy.run_path("prepare_bars.py", run_name="__main__")
        monkeypatch.syspath_prepend(folder)  # as `python -m` does
        monkeypatch.setattr("maml_tf.runtime.configure_runtime", lambda: None)  # threads are set once per process
        main(["train", *specs, "--data", "data", "--profile", "smoke"])
    return folder


def result(folder, name):
    (path,) = (folder / "runs" / name).rglob(f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def num_weights(folder, name):
    (path,) = (folder / "runs" / name).rglob("state.npz")
    with np.load(path) as state:
        return sum(key.startswith("params_") for key in state)


def test_the_data_set_is_trained_on(trained):
    written = result(trained, "bars_5way_1shot")
    assert written["data"]["origin"] == "drawn by prepare_bars.py, seed 0"
    assert len(written["curves"]["1_shot"]["mean"]) == BARS["evaluation"]["steps"] + 1
    assert written["curves"]["1_shot"]["mean"][-1] > 40.0  # after three steps; chance is 20 %


def test_the_biases_alone_are_adapted(trained, monkeypatch):
    monkeypatch.syspath_prepend(str(trained))
    from maml_tf.experiments.few_shot import FewShotExperiment
    from maml_tf.experiments.spec import read_spec

    learner = FewShotExperiment.build_learner(read_spec(trained / "bars_5way_1shot_biases.yaml"))
    adapted = [name for name, moves in zip(learner.param_names, learner.adaptable, strict=True) if moves]
    assert adapted == [name for name in learner.param_names if name.endswith("/bias")]
    biases, maml = (result(trained, name)["curves"] for name in ("bars_5way_1shot_biases", "bars_5way_1shot"))
    assert biases["1_shot"]["mean"] != maml["1_shot"]["mean"]


def test_the_step_sizes_are_trained_with_the_weights(trained):
    weights = num_weights(trained, "bars_5way_1shot")
    assert weights < num_weights(trained, "bars_5way_1shot_meta_sgd") <= 2 * weights


def test_the_files_of_the_method_are_those_of_the_repository():
    folders = {
        "meta_sgd.py": ROOT / "maml_tf" / "methods",
        "sinusoid_meta_sgd.yaml": REPRODUCE / "specs" / "beyond",
        "test_meta_sgd.py": ROOT / "tests" / "methods",
    }
    for name, folder in folders.items():
        assert FILES[name] == (folder / name).read_text(encoding="utf-8"), name


def test_a_call_in_the_text_has_the_arguments_that_it_needs():
    import maml_tf as mt

    calls = [ast.parse(call, mode="eval").body for call in re.findall(r"`(mt\.MAML\(.*\))`", PAGE)]
    assert len(calls) == 2
    for call in calls:
        inspect.signature(mt.MAML).bind(*call.args, **{keyword.arg: keyword for keyword in call.keywords})


def test_the_network_is_trained(trained):
    assert num_weights(trained, "bars_5way_1shot_keras") == 4
    assert result(trained, "bars_5way_1shot_keras")["iterations_done"] == 2


def test_the_environment_is_trained_in(trained):
    mean = result(trained, "line_navigation_maml")["curves"]["return"]["mean"]
    assert len(mean) == 3
    assert all(-40.0 < value < 0.0 for value in mean)  # 20 steps, each at most 2 from the goal unless it runs away


@pytest.fixture(scope="module")
def reproduction(tmp_path_factory):
    """A copy of reproduce/ without Table 4, to which the page's files of it are added."""
    folder = tmp_path_factory.mktemp("table")
    copy = folder / "reproduce"
    ignore = shutil.ignore_patterns("checkpoints", "unfinished", "results", "__pycache__")
    shutil.copytree(REPRODUCE, copy, ignore=ignore)
    (copy / "results").mkdir()
    paper = yaml.safe_load((copy / "targets.yaml").read_text(encoding="utf-8"))
    paper["entries"] = [entry for entry in paper["entries"] if entry["where"] != "Table 4"]
    paper["entries"] += yaml.safe_load(FILES["targets.yaml"])
    (copy / "targets.yaml").write_text(yaml.safe_dump(paper), encoding="utf-8")
    (copy / "table4.py").write_text(FILES["table4.py"], encoding="utf-8")
    name = "point_navigation_context_vector.yaml"
    (copy / "specs" / name).write_text(FILES[name], encoding="utf-8")
    return folder


def test_the_table_is_trained_and_printed(reproduction, monkeypatch, capsys, eagerly):
    monkeypatch.setattr("maml_tf.runtime.configure_runtime", lambda: None)  # threads are set once per process
    monkeypatch.setattr(sys, "argv", ["table4", "point_navigation_context_vector", "--profile", "smoke"])
    with modules_of(reproduction, "reproduce"), pytest.raises(SystemExit) as ended:
        runpy.run_module("reproduce.table4", run_name="__main__")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "2d navigation context_vector, 1 step" in printed.lower().replace("_navigation", " navigation")
    name = "point_navigation_context_vector"
    written = result(reproduction, name)
    assert written["targets"]["rl_2d_navigation_context_vector_step1"]["mean"] == written["curves"]["return"]["mean"][1]


def test_the_files_of_the_table_are_those_of_the_repository():
    assert FILES["table4.py"] == (REPRODUCE / "table4.py").read_text(encoding="utf-8")
    assert FILES["table4.py"].count("\n") == 8
    entries = yaml.safe_load((REPRODUCE / "targets.yaml").read_text(encoding="utf-8"))["entries"]
    (shown,) = yaml.safe_load(FILES["targets.yaml"])
    assert shown in entries
    name = "point_navigation_context_vector.yaml"
    mine, committed = (yaml.safe_load(text) for text in (FILES[name], (REPRODUCE / "specs" / name).read_text()))
    assert mine.pop("targets").items() <= committed.pop("targets").items()
    assert mine == committed
