"""Writes the pinned numbers: a maintainer's command, for a change that is meant to change them.

    python tests/pins/update.py spec_hashes

The pins hold what the project computes today, so that a change of the code that changes a number is noticed. Update
them only when a spec is added or a number is meant to change, and say so in the commit and in CHANGELOG.md.
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parents[1]), str(FOLDER.parent)]
KINDS = ("spec_hashes",)


def read(kind: str) -> dict:
    """The committed pins of a kind."""
    return json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))


def computed(kind: str) -> dict:
    """What the code gives now."""
    from pins import spec_hashes

    return {"spec_hashes": spec_hashes.spec_hashes}[kind]()


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    for kind in parser.parse_args().kinds:
        path = FOLDER / f"{kind}.json"
        path.write_text(json.dumps(computed(kind), indent=1) + "\n", encoding="utf-8")
        print(f"{path}: written")


if __name__ == "__main__":
    main()
