"""Writes requirements.lock: every package of the reproduction with the SHA-256 of its wheels, for `--require-hashes`.

    python tests/tools/hashes.py REPORT.json ...

A report is what `pip install --dry-run --ignore-installed --no-deps --report REPORT.json -r constraints.txt` writes,
one for each Python version (`--python-version 3.12 --only-binary=:all:`). Installing with the lock refuses a file that
is not the one that was locked:

    pip install --require-hashes --no-deps --only-binary=:all: -r requirements.lock
"""

import json
import pathlib
import sys
from collections.abc import Iterable

from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
HEADER = """\
# constraints.txt with the SHA-256 of each package's wheels for Linux on x86-64, Python 3.11 and 3.12. The workflow
# installs from it with --require-hashes. Written by tests/tools/hashes.py; do not edit it by hand.
"""


def locked(reports: Iterable[dict]) -> dict[tuple[str, str], set[str]]:
    """{(package, version): SHA-256 of its files} of pip's reports."""
    hashes: dict[tuple[str, str], set[str]] = {}
    for report in reports:
        for item in report["install"]:
            key = canonicalize_name(item["metadata"]["name"]), item["metadata"]["version"]
            hashes.setdefault(key, set()).add(item["download_info"]["archive_info"]["hashes"]["sha256"])
    return hashes


def text_of(hashes: dict[tuple[str, str], set[str]]) -> str:
    """The lock file."""
    lines = [HEADER]
    for (name, version), digests in sorted(hashes.items()):
        lines.append(" \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{d}" for d in sorted(digests))]) + "\n")
    return "".join(lines)


def main(paths: list[str]) -> None:
    reports = [json.loads(pathlib.Path(path).read_text(encoding="utf-8")) for path in paths]
    LOCK.write_text(text_of(locked(reports)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
