"""What the scripts of this folder share: their options, their folders, and training what is not trained yet."""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import shlex
import sys
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from maml_tf.config import PROFILES, read_spec  # noqa: E402
from maml_tf.errors import EXIT_DATA_MISSING, EXIT_USAGE, DataMissingError, UsageError  # noqa: E402

SPECS = HERE / "specs"
RESULTS = HERE / "results"
FIGURES = RESULTS / "figures"
CHECKPOINTS = HERE / "checkpoints"
RUNS = ROOT / "runs"
DATA = ROOT / "data" / "prepared"


def parse_arguments(description):
    """The options that every experiment has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--profile", choices=PROFILES, default="paper", help="paper (default): the protocol to the letter"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the spec's seeds")
    begun = parser.add_mutually_exclusive_group()
    begun.add_argument("--resume", action="store_true", help="go on with trainings that were stopped")
    begun.add_argument("--restart", action="store_true", help="train anew, whatever lies in runs/")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard scalars into runs/")
    return parser


def spec_of(name, arguments):
    """The ExperimentSpec `specs/<name>.yaml` under the chosen profile and seeds."""
    spec = read_spec(SPECS / f"{name}.yaml", arguments.profile)
    return dataclasses.replace(spec, seeds=tuple(arguments.seeds)) if arguments.seeds else spec


def measure(name, arguments):
    """Trains and tests a spec unless that is done already, writes its result file and weights, returns the Result.

    What is done is known from `runs/`: the finished trainings and, beside them, the result of testing them, which
    holds as long as the code is the same.
    """
    from maml_tf.experiments.run import run_experiment, run_folder_of
    from maml_tf.reporting.results import provenance, read_result, write_result

    spec = spec_of(name, arguments)
    measured = run_folder_of(spec, spec.seeds[0], RUNS).path.parent / f"measured-{spec.full_hash}"
    known = measured / ("" if spec.profile == "paper" else "reduced") / f"{name}.json"
    result = read_result(known) if known.exists() and not arguments.restart else None
    if result is None or result.git_commit != provenance()["git_commit"] or result.git_commit.endswith("+dirty"):
        result = run_experiment(
            spec,
            runs_folder=RUNS,
            data_folder=DATA,
            command=shlex.join(["python", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]]),
            weights_folder=CHECKPOINTS if spec.profile == "paper" else None,
            resume=arguments.resume,
            restart=arguments.restart,
            tensorboard=arguments.tensorboard,
        )
        write_result(result, measured)
    if spec.profile != "smoke":  # a smoke run shows that everything runs; its numbers mean nothing
        write_result(result, RESULTS)
    print(f"{name} ({spec.profile}): trained and tested in {result.wall_seconds:.0f} s")
    return result


@contextlib.contextmanager
def exit_codes():
    """Turns errors into the exit codes of maml_tf/errors.py, the user's own without a traceback."""
    try:
        yield
    except DataMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_DATA_MISSING)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except Exception:
        traceback.print_exc()
        sys.exit(EXIT_USAGE)
