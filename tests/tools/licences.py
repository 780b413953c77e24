"""Writes docs/licences.md: every package of the reproduction's environment with its licence. Part of `make lock`."""

import pathlib
import sys
from importlib import metadata

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "licences.md"
HEADER = """\
# Licences

<!-- Written by tests/tools/licences.py (`make lock`); do not edit by hand. -->

This project is under the MIT licence. The packages that `make setup` installs, as their own metadata says:

| package | version | licence |
|---|---|---|
"""
# Packages whose metadata name no licence, from their repository.
NOT_SAID = {"namex": "Apache-2.0"}


def licence_of(name: str) -> str:
    """The licence that a package's metadata name."""
    found = metadata.metadata(name)
    if expression := found.get("License-Expression"):
        return expression
    classifiers = [
        text.split(" :: ")[-1] for text in found.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    named = "; ".join(text for text in classifiers if text != "OSI Approved")
    return named or (found.get("License") or "").strip().split("\n")[0] or NOT_SAID[name]


def locked() -> list[tuple[str, str]]:
    """(package, version) of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("==")) for line in lines if line and not line.startswith("#")]


def main() -> None:
    rows = [f"| {name} | {version} | {licence_of(name)} |\n" for name, version in locked()]
    PAGE.write_text(HEADER + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
