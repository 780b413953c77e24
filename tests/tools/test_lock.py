"""The lock, the requirements files and the ranges of the wheel agree."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools import lock

PROJECT = tomllib.loads((lock.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RANGES = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["report"]]
LOCKED = {
    canonicalize_name(pin.name): next(iter(pin.specifier)).version
    for pin in lock.read_requirements(lock.ROOT / "constraints.txt")
}


@pytest.mark.parametrize("path", lock.requirements_files(), ids=lambda path: path.name)
def test_the_lock_holds_what_a_requirements_file_asks_for(path):
    for requirement in lock.read_requirements(path):
        version = LOCKED[canonicalize_name(requirement.name)]
        assert str(requirement.specifier) == f"=={version}", f"{requirement}: run `make lock`"


@pytest.mark.parametrize("requirement", [Requirement(line) for line in RANGES], ids=str)
def test_the_locked_version_is_in_the_range_of_the_wheel(requirement):
    assert requirement.specifier.contains(LOCKED[canonicalize_name(requirement.name)])


def test_the_closure_follows_extras_and_dependencies():
    versions = lock.closure([Requirement("gymnasium[mujoco]")])
    assert {"gymnasium", "mujoco", "imageio", "numpy", "farama-notifications"} <= set(versions)
    assert "imageio" not in lock.closure([Requirement("gymnasium")])


def test_every_requirement_says_why_it_is_needed():
    for path in lock.requirements_files():
        lines = path.read_text(encoding="utf-8").splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            if line and not line.startswith("#"):
                assert before.startswith("#"), f"{path.name}: {line} has no reason above it"
