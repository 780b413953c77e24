"""Writes the generated parts of README.md and docs/ from the published results: python -m reproduce.comparison.pages"""

import argparse
import sys

from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import EXIT_OUTSIDE_TOLERANCE
from reproduce.comparison.pages.blocks import pages_of, refreshed
from reproduce.comparison.pages.learning_curves import draw, is_newest, pictures
from reproduce.comparison.pages.makers import MAKERS
from reproduce.comparison.pages.record import ROOT, read_record


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is not the newest")
    arguments = parser.parse_args()
    record = read_record()
    stale = []
    for path in pages_of(ROOT):
        text = refreshed(path, MAKERS, record)
        if text != path.read_text(encoding="utf-8"):
            stale.append(path)
            if not arguments.check:
                with atomic_write(path) as file:
                    file.write(text)
    for path, result in pictures(record).items():
        if not is_newest(path, result):
            stale.append(path)
            if not arguments.check:
                draw(path, result)
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'is not the newest' if arguments.check else 'written'}")
    return EXIT_OUTSIDE_TOLERANCE if stale and arguments.check else 0


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
