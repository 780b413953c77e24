"""The workflows, the pre-commit hooks and the issue templates name targets, scripts and commands that exist."""

import os
import re
import subprocess

import pytest
from helpers import ROOT

from maml_tf._yaml import read_yaml

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BUG, NUMBER = (ROOT / ".github" / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "number.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def commands_of(workflow):
    """The shell commands of every job."""
    jobs = read_yaml(workflow)["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", [*WORKFLOWS, NUMBER], ids=lambda path: path.name)
def test_make_can_run_every_target_that_is_named(path):
    named = re.findall(r"\bmake ([a-z][\w-]*(?: [A-Z]+=\w+)*)", path.read_text(encoding="utf-8"))
    assert named
    for words in map(str.split, named):
        done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for variable in (word.split("=")[0] for word in words[1:]):
            assert f"\n{variable} ?=" in MAKEFILE, f"{variable} is no variable of the Makefile"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_scripts_of_a_workflow_can_be_executed(path):
    commands = commands_of(path)
    assert commands
    for script in re.findall(r"[\w./]+\.sh", "\n".join(commands)):
        assert os.access(ROOT / script, os.X_OK), script


def test_the_workflows_run_each_command_of_the_build():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    build = [line.split("  #")[0] for line in lines if not line.startswith(("#", "set ", "cd "))]
    assert build
    assert set(build) <= {command for path in WORKFLOWS for command in commands_of(path)}


def test_pre_commit_runs_the_commands_of_make_lint():
    hooks = [hook for repo in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE).group(1)
    commands = [line.strip().replace("$(VENV)", ".venv").removesuffix(" .") for line in recipe.splitlines()]
    assert [hook["entry"] for hook in hooks] == commands


@pytest.mark.parametrize("path", [BUG, NUMBER], ids=lambda path: path.name)
def test_an_issue_template_asks_for_each_field_once(path):
    template = read_yaml(path)
    assert template["name"]
    assert template["description"]
    ids = [field["id"] for field in template["body"]]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in template["body"])


def test_the_example_of_a_target_is_a_target_of_the_comparison():
    example = re.search(r"for example `(\w+)`", NUMBER.read_text(encoding="utf-8")).group(1)
    assert re.search(rf"\b{example}\b", (ROOT / "reproduce" / "targets.yaml").read_text(encoding="utf-8"))
