"""Trains from a package that `maml_tf export-training-loop` wrote. Needs JAX and NumPy, no TensorFlow and no maml_tf.

    python run.py PACKAGE --out OUT [--seeds 1 2] [--until 20000] [--seconds 540]

PACKAGE is the folder of one spec, OUT may be the same for all. Every seed gets a folder OUT/<spec>/seed_<n>:
`state.npz`, from which a later call continues to the same numbers, and `snapshot_<iteration>.npz`, the weights that are
validated and tested afterwards by `maml_tf evaluate SPEC.yaml --snapshots OUT`. A GPU is used where JAX finds one.

Exit codes: 0 done, or stopped by --until or --seconds; 1 the training diverged; 2 wrong usage; 3 files of the package
are missing or damaged.
"""

import argparse
import pathlib
import sys
import time
from collections.abc import Sequence

from .loop import Loop
from .package import Package, PackageError, listed
from .progress import say
from .training import Training, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=pathlib.Path, metavar="PACKAGE", help="folder with a manifest.json")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where states and snapshots go")
    parser.add_argument("--seeds", type=int, nargs="+", help="some of the package's seeds; all by default")
    parser.add_argument("--until", type=int, metavar="N", help="stop at iteration N; at the last one by default")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop before S seconds are over, start-up included")
    options = parser.parse_args(arguments)
    try:
        package = Package(options.package)
        seeds = options.seeds or package.seeds
        for seed in seeds:
            if seed not in package.seeds:
                raise PackageError(f"--seeds {seed}: the package has the seeds {listed(package.seeds)}", 2)
        until = package.iterations if options.until is None else options.until
        if not 0 < until <= package.iterations:
            raise PackageError(f"--until {until}: allowed are 1 to {package.iterations}", 2)
        deadline = float("inf") if options.seconds is None else started + options.seconds
        package.check_complete()
        trainings = [Training(package, seed, options.out) for seed in seeds]
        if all(training.iteration >= until for training in trainings):
            say(f"{package.name}: seeds {listed(seeds)} have reached iteration {until}: nothing to do")
            return 0
        loop = Loop(package)
        for training in trainings:
            if not train(training, loop, until, deadline):
                say("stopped: the time is used; the same command continues")
                break
    except PackageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0
