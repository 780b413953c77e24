"""Writes constraints.txt: the exact version of every package that the requirements files need, directly or not.

Run it after a change of a requirements file, in the environment that was installed from them: `make lock`. It
reads what is installed there and asks no registry.
"""

import pathlib
import re
import sys
from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Each interpreter brings its own versions of the installers, and an older one does not run on a newer Python.
INSTALLERS = {"pip", "setuptools", "wheel"}
HEADER = """\
# Every package of the reproduction's environment at its exact version. `make setup` installs with it, `make lock`
# writes it from the requirements files. Do not edit it by hand.
"""


def requirements_files() -> list[pathlib.Path]:
    """The requirements files of the project."""
    return sorted(ROOT.glob("requirements*.txt"))


def read_requirements(path: pathlib.Path) -> list[Requirement]:
    """The requirements in a file: one a line, comments after `#`."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def closure(requirements: Iterable[Requirement]) -> dict[str, str]:
    """{package: installed version} of the requirements and of everything that they need, by canonical name.

    Raises:
        metadata.PackageNotFoundError: a package is not installed here.
    """
    versions: dict[str, str] = {}
    waiting = list(requirements)
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            distribution = metadata.distribution(name)
            versions[name] = distribution.version
            for line in distribution.requires or []:
                needed = Requirement(line)
                if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in {extra, ""}):
                    waiting.append(needed)
    return versions


def main() -> None:
    requirements = [line for path in requirements_files() for line in read_requirements(path)]
    versions = closure(requirements)
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items()) if name not in INSTALLERS]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
