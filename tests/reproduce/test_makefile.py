"""The Makefile: help is complete, what it names exists, values are quoted, and switches can be off."""

import pathlib
import re
import shlex
import subprocess

import pytest

from reproduce import table1, table3

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def make(*arguments):
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def last_command(*arguments):
    """The words of the last command that make would run."""
    shown = make("--dry-run", *arguments)
    assert shown.returncode == 0, shown.stderr
    return shlex.split(shown.stdout.splitlines()[-1])


def test_help_lists_every_target_with_an_explanation():
    phony = [re.sub(r"\\\n", " ", names) for names in re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)]
    listed = dict(re.findall(r"^  make (\S+) +(\S.*)$", make("help").stdout, re.MULTILINE))
    assert set(listed) == {name for names in phony for name in names.split()}
    rules = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
    assert rules == set(listed)


def test_every_variable_is_explained():
    set_here = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE))
    listed = re.findall(r"^  ([A-Z]+) +(\S.*)$", make("help-variables").stdout, re.MULTILINE)
    assert {name for name, _ in listed} == set_here


def test_every_script_and_spec_that_the_makefile_names_exists():
    for path in re.findall(r"(?:reproduce|data|tests)/[\w./]+\.(?:py|yaml|sh)", MAKEFILE):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"-m (reproduce[\w.]*|benchmarks[\w.]*)", MAKEFILE):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("value", ["0", "no", "No", "off", "false", "FALSE", ""])
def test_switches_can_be_off(value):
    words = last_command("fig4", f"RESTART={value}", f"TENSORBOARD={value}")
    assert "--resume" in words
    assert "--restart" not in words
    assert "--tensorboard" not in words


def test_switches_can_be_on():
    words = last_command("fig4", "RESTART=1", "TENSORBOARD=yes")
    assert {"--restart", "--tensorboard"} <= set(words)
    assert "--resume" not in words


@pytest.mark.parametrize(("target", "table"), [("table1", table1), ("table3", table3)])
def test_a_launcher_trains_the_cells_of_a_table_first(target, table):
    commands = make("--dry-run", target, "LAUNCHER=ray", "CORES=2", "SEEDS=1 2").stdout.splitlines()[-2:]
    words = shlex.split(commands[0])
    assert {pathlib.Path(word).stem for word in words if word.endswith(".yaml")} == set(table.REPRODUCTION.specs)
    assert words[words.index("--seeds") :][:3] == ["--seeds", "1", "2"]
    assert words[words.index("--launcher") :][:4] == ["--launcher", "ray", "--cores-per-run", "2"]
    assert shlex.split(commands[1])[2] == f"reproduce.{target}"
    assert "sweep" not in make("--dry-run", target).stdout


@pytest.mark.parametrize("name", ["a b", "a; touch /tmp/x", "it's", "$$(id)", "`id`", "a&b", '"'])
def test_a_value_is_one_word_even_with_special_characters(name):
    value = name.replace("$$", "$")
    assert last_command("data", f"MIRROR={name}")[-2:] == ["--mirror", value]
    assert value in last_command("fig4", f"PROFILE={name}")
    assert f"reproduce/specs/{value}.yaml" in last_command("evaluate-partial", f"SPEC={name}")
    assert last_command("authors-checkpoint", f"CHECKPOINT={name}")[-2:] == ["--checkpoint", value]


def test_a_list_is_quoted_word_by_word():
    words = last_command("fig4", "SEEDS=1 2;id 3")
    assert words[words.index("--seeds") + 1 :][:3] == ["1", "2;id", "3"]


@pytest.mark.parametrize("target", ["evaluate-partial", "evaluate-half", "import-run"])
def test_a_missing_spec_is_an_error(target):
    shown = make("--dry-run", target)
    assert f"error: SPEC is missing: make {target} SPEC=" in shown.stdout


def test_only_publish_writes_into_the_published_record():
    for line in MAKEFILE.splitlines():
        assert not re.search(r"--(results|weights) reproduce/", line), line
