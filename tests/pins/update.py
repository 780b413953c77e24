"""Writes the pinned numbers: a maintainer's command, for a change that is meant to change them.

    python tests/pins/update.py KIND ...
    python tests/pins/update.py weights --specs NAME ...   # leaves the pins of all other weights as they are

The pins hold what the project computes, so that a change of the code that changes a number is noticed. Update them only
when a spec or weights are added or a number is meant to change, and say so in the commit and in CHANGELOG.md.

spec_hashes  hashes, run folders and lengths of all specs
weights      what the committed weights give on fixed tasks
trainings    what a few iterations of training give, for every experiment and method
"""

import argparse
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parents[1]), str(FOLDER.parent)]

import numpy as np  # noqa: E402

# Pinned numbers must not sit where rounding decides about a branch (a ReLU or a max-pool at a tie). So they are
# computed again with inputs that differ by two units in the last place, a few times, and must agree.
JITTER, JITTERED_RUNS = 2.0**-23, 3


def read(kind: str) -> dict:
    """The committed pins of a kind."""
    return json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))


def spec_hashes() -> dict:
    """The pins of all specs."""
    from pins.spec_hashes import spec_hashes

    return spec_hashes()


def weights(specs: Sequence[str] = ()) -> dict:
    """The pins of all committed weights; of some specs only, with the pins of all others as they are committed."""
    from pins import weights

    pins = read("weights") if specs else {}
    with tempfile.TemporaryDirectory() as folder:
        data_folder = pathlib.Path(folder)
        weights.write_images(data_folder)
        for spec in specs or weights.checkpoints():
            pins |= _checked(lambda *jitter, spec=spec: weights.numbers_of(spec, data_folder, *jitter))
            for file, digest in weights.sha256_of(spec).items():
                pins[file]["sha256"] = digest
    return dict(sorted(pins.items()))


def trainings() -> dict:
    """The pins of short trainings."""
    import keras
    from pins import trainings

    pins = {}
    with tempfile.TemporaryDirectory() as folder:
        data_folder = pathlib.Path(folder)
        trainings.write_images(data_folder)
        for name in trainings.CASES:
            pins |= _checked(lambda *jitter, name=name: {name: trainings.numbers_of(name, data_folder, *jitter)})
            keras.backend.clear_session()
    return pins


def _checked(compute):
    """{name: numbers as lists} of `compute()`, after making sure that no rounding decides about them."""
    from pins.rounding import assert_pinned

    pins = {
        where: {name: _as_lists(array) for name, (array, _) in numbers.items()} for where, numbers in compute().items()
    }
    for seed in range(JITTERED_RUNS):
        for where, numbers in compute(JITTER, seed).items():
            for name, (array, allowed) in numbers.items():
                # Inputs that are off by some roundings may change results by as much as computing with roundings.
                assert_pinned(f"{where}: {name} after a change in the last bits", array, pins[where][name], allowed)
    return pins


def _as_lists(array):
    """An array as nested lists, with the nine digits that tell float32 numbers apart."""
    if np.ndim(array):
        return [_as_lists(part) for part in array]
    return float(f"{array:.9g}")


def as_text(pins: dict) -> str:
    """JSON with each list of numbers on a line."""
    return re.sub(r"\[[^][{}]*\]", lambda row: re.sub(r"\s+", " ", row[0]), json.dumps(pins, indent=1)) + "\n"


KINDS = {"spec_hashes": spec_hashes, "weights": weights, "trainings": trainings}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--specs", nargs="+", default=[], metavar="NAME", help="only the weights of these specs")
    options = parser.parse_args()
    if options.specs and options.kinds != ["weights"]:
        parser.error("--specs is for weights only")
    for kind in options.kinds:
        path = FOLDER / f"{kind}.json"
        path.write_text(as_text(weights(options.specs) if kind == "weights" else KINDS[kind]()), encoding="utf-8")
        print(f"{path}: written")


if __name__ == "__main__":
    main()
