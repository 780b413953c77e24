"""The command `maml_tf` (`python -m maml_tf`): training and testing from spec files."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from maml_tf._io import check_writable
from maml_tf._options import (
    add_changes_option,
    add_data_option,
    add_folder_options,
    add_spec_options,
    add_training_options,
    spec_from,
    whole_number_from,
)
from maml_tf.errors import EXIT_DATA_MISSING, EXIT_SIGNAL, EXIT_USAGE, DataMissingError, UsageError
from maml_tf.sweep.command import add_sweep_options, run_sweep
from maml_tf.training.stopping import raise_for_signals

if TYPE_CHECKING:
    from maml_tf.experiments.results import Curve, Result
    from maml_tf.experiments.spec import ExperimentSpec
    from maml_tf.training.workers import Workers

# A user's own results and weights. Those in reproduce/ are the published record.
RESULTS, WEIGHTS = pathlib.Path("runs/results"), pathlib.Path("runs/checkpoints")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command line; ends with an exit code of maml_tf/errors.py."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = argparse.ArgumentParser(prog="maml_tf", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train and test specs, and write their result files")
    train.add_argument("specs", nargs="+", type=pathlib.Path, metavar="SPEC.yaml")
    add_training_options(train)
    train.add_argument(
        "--train-only", action="store_true", help="do not test; the same command without this option does it later"
    )
    train.add_argument(
        "--workers", type=whole_number_from(1), metavar="N", help="spread each training over N actors of a Ray cluster"
    )
    train.add_argument(
        "--address", metavar="HOST:PORT", help="of the Ray cluster; default: the one that this machine belongs to"
    )
    train.add_argument(
        "--cores-per-worker", type=whole_number_from(1), metavar="N", help="cores of each actor; default: 1"
    )
    _add_results_option(train)
    train.add_argument(
        "--weights", type=pathlib.Path, default=WEIGHTS, help=f"folder for the chosen weights; default: {WEIGHTS}"
    )

    evaluate = commands.add_parser("evaluate", help="test an unfinished training, an exported one, or weights")
    evaluate.add_argument("spec", type=pathlib.Path, metavar="SPEC.yaml")
    evaluate.add_argument(
        "--half", action="store_true", help="test the model that was the best at half of the iterations"
    )
    evaluate.add_argument(
        "--snapshots",
        type=pathlib.Path,
        metavar="FOLDER",
        help="output of the runner of an exported loop: choose the best model, test it, write result and weights",
    )
    evaluate.add_argument(
        "--weights",
        type=pathlib.Path,
        default=WEIGHTS,
        help=f"FILE.npz: test these weights; otherwise the folder for the chosen weights; default: {WEIGHTS}",
    )
    _add_results_option(evaluate)
    add_spec_options(evaluate)
    add_folder_options(evaluate)

    export = commands.add_parser(
        "export-training-loop",
        help="write a package that trains a spec on a machine with a GPU and JAX",
    )
    export.add_argument("specs", nargs="+", type=pathlib.Path, metavar="SPEC.yaml")
    export.add_argument(
        "--out", type=pathlib.Path, required=True, metavar="FOLDER", help="a package becomes FOLDER/SPEC"
    )
    add_spec_options(export)
    add_data_option(export)

    replay = commands.add_parser(
        "replay", help="compute the iteration again at which a training stopped because something was not finite"
    )
    replay.add_argument("spec", type=pathlib.Path, metavar="SPEC.yaml")
    add_spec_options(replay)
    add_folder_options(replay)
    sweep = commands.add_parser("sweep", help="train specs and seeds at the same time, on one machine or many")
    add_sweep_options(sweep)
    for command in (train, evaluate, export, replay, sweep):
        add_changes_option(command)

    parsed = parser.parse_args(arguments)
    run = {
        "train": _train,
        "evaluate": _evaluate,
        "export-training-loop": _export,
        "replay": _replay,
        "sweep": run_sweep,
    }
    with exit_codes():
        code = run[parsed.command](parsed)
        if code:
            sys.exit(code)


def train_and_evaluate_from(
    spec: ExperimentSpec,
    arguments: argparse.Namespace,
    *,
    results: pathlib.Path,
    weights: pathlib.Path | None,
    workers: Workers | None = None,
) -> Result:
    """Trains and tests a spec as the options say, and prints the time that it took.

    Args:
        spec: what to train and test.
        arguments: the options of `add_training_options`.
        results, weights: the folders for the result file and the chosen weights.
        workers: spread each training over them.
    """
    from maml_tf.experiments.base import TrainingOptions
    from maml_tf.experiments.results import result_path
    from maml_tf.experiments.run import WEIGHTS_KEPT, train_and_evaluate

    check_writable(arguments.runs, "--runs")
    if spec.profile != "smoke":
        check_writable(results, "--results")
        written = result_path(spec.name, spec.profile, results)
        if written.is_dir():
            raise UsageError(f"--results {results}: {written} is a folder; the result file goes there")
    if weights is not None and spec.profile in WEIGHTS_KEPT:
        check_writable(weights, "--weights")
    result = train_and_evaluate(
        spec,
        runs_folder=arguments.runs,
        data_folder=arguments.data,
        results_folder=results,
        weights_folder=weights,
        command=command_line(),
        restart=arguments.restart,
        options=TrainingOptions(arguments.resume, arguments.tensorboard, workers),
    )
    print(f"{spec.name} ({spec.profile}): trained and tested in {result.wall_seconds:.0f} s")
    return result


def command_line(*program: str) -> str:
    """The user's command, for the result file. A folder outside of the project is given by its last name.

    Args:
        *program: the arguments of `python` that start the program; by default those of the module that runs.
    """

    def portable(argument: str) -> str:
        inside = os.path.relpath(argument or os.curdir)
        if not inside.startswith(os.pardir):
            return inside if os.path.isabs(argument) else argument
        return os.path.basename(os.path.normpath(argument))

    module = os.path.relpath(sys.argv[0]).removesuffix(".py").replace(os.sep, ".").removesuffix(".__main__")
    return shlex.join(["python", *(program or ["-m", module]), *map(portable, sys.argv[1:])])


def print_curves(name: str, curves: Mapping[str, Curve], columns: tuple[str, str]) -> None:
    """Prints one line for each curve: its value after every gradient step.

    Args:
        name: what the lines begin with.
        curves: by name.
        columns: what column 0 and the others are measured on (see `ExperimentSpec.columns`).
    """
    for curve_name, curve in curves.items():
        points = []
        for step, mean, ci95 in zip(curve.grad_steps, curve.mean, curve.ci95, strict=True):
            label = columns[0] if step == 0 else f"{columns[1]} {step}" if step == 1 else str(step)
            points.append(f"{label}: {mean:.4g} ± {ci95:.2g}")
        print(f"{name} {curve_name}: " + "  ".join(points))


def _add_results_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help=f"default: {RESULTS}")


def _train(arguments: argparse.Namespace) -> None:
    specs = [spec_from(path, arguments) for path in arguments.specs]  # all are read before the first is trained
    from maml_tf.runtime import configure_runtime

    configure_runtime()
    workers = _workers_from(arguments)
    for spec in specs:
        if arguments.train_only:
            _train_only(spec, arguments, workers)
            continue
        folders = {"results": arguments.results, "weights": arguments.weights}
        result = train_and_evaluate_from(spec, arguments, workers=workers, **folders)
        print_curves(spec.name, result.curves, spec.columns)


def _workers_from(arguments: argparse.Namespace) -> Workers | None:
    if arguments.workers is None:
        for option in ("address", "cores_per_worker"):
            if getattr(arguments, option) is not None:
                raise UsageError(f"--{option.replace('_', '-')}: not without --workers")
        return None
    from maml_tf.training.ray_workers import RayWorkers

    return RayWorkers(arguments.workers, arguments.address, arguments.cores_per_worker or 1)


def _train_only(spec: ExperimentSpec, arguments: argparse.Namespace, workers: Workers | None) -> None:
    from maml_tf.experiments.base import TrainingOptions
    from maml_tf.experiments.run import train

    check_writable(arguments.runs, "--runs")
    options = TrainingOptions(arguments.resume, arguments.tensorboard, workers)
    folders = {"runs_folder": arguments.runs, "data_folder": arguments.data}
    for seed in spec.seeds:
        trained = train(spec, seed, restart=arguments.restart, options=options, **folders)
        print(f"{trained.experiment.label}: trained in {trained.checkpoint.seconds:.0f} s")


def _evaluate(arguments: argparse.Namespace) -> None:
    spec = spec_from(arguments.spec, arguments)
    from maml_tf.runtime import configure_runtime

    configure_runtime()
    if arguments.weights.suffix == ".npz":
        for option in ("half", "snapshots"):
            if getattr(arguments, option):
                raise UsageError(f"--{option}: not with the weights of a file ({arguments.weights})")
        _evaluate_weights(spec, arguments)
    else:
        _evaluate_training(spec, arguments)


def _evaluate_weights(spec: ExperimentSpec, arguments: argparse.Namespace) -> None:
    from maml_tf.experiments.run import build_experiment, summarise
    from maml_tf.training.adam import TrainingState
    from maml_tf.training.checkpoint import Checkpoint
    from maml_tf.training.weights import read_weights

    experiment = build_experiment(spec, spec.seeds[0], arguments.data)
    weights = read_weights(arguments.weights, experiment.learner)
    scores, _ = experiment.evaluate(Checkpoint(TrainingState.start(weights)))
    print_curves(spec.name, {name: summarise([values]) for name, values in scores.items()}, spec.columns)


def _evaluate_training(spec: ExperimentSpec, arguments: argparse.Namespace) -> None:
    from maml_tf.experiments.partial import evaluate_half, evaluate_partial
    from maml_tf.export.importer import import_run

    folders = {
        "runs_folder": arguments.runs,
        "data_folder": arguments.data,
        "results_folder": arguments.results,
        "weights_folder": arguments.weights,
    }
    if arguments.snapshots is not None:
        result = import_run(
            spec,
            snapshots_folder=arguments.snapshots,
            seeds=arguments.seeds,
            half=arguments.half,
            command=command_line(),
            **folders,
        )
    elif arguments.half:
        result = evaluate_half(spec, command=command_line(), **folders)
    else:
        result = evaluate_partial(spec, command=command_line(), **folders)
    print_curves(spec.name, result.curves, spec.columns)
    print(f"{spec.name} ({result.profile}): {result.iterations_done} of {result.iterations_asked} iterations")


def _replay(arguments: argparse.Namespace) -> None:
    spec = spec_from(arguments.spec, arguments)
    from maml_tf.experiments.replay import replay
    from maml_tf.runtime import configure_runtime

    configure_runtime()
    for line in replay(spec, runs_folder=arguments.runs, data_folder=arguments.data):
        print(line)


def _export(arguments: argparse.Namespace) -> None:
    specs = [spec_from(path, arguments) for path in arguments.specs]
    from maml_tf.export.spec_package import check_exportable, export_spec

    for spec in specs:
        check_exportable(spec)
    for spec, path in zip(specs, arguments.specs, strict=True):
        export_spec(spec, folder=arguments.out, data_folder=arguments.data)
        print(f"{spec.name} ({spec.profile}): written to {arguments.out / spec.name}; on the other machine")
        print(f"  python {arguments.out.name}/run.py {arguments.out.name}/{spec.name} --out SNAPSHOTS")
        print(f"then here\n  python -m maml_tf evaluate {path} --snapshots SNAPSHOTS")


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Turns errors into the exit codes of maml_tf/errors.py; errors that the user caused have no traceback.

    SIGTERM ends what runs as Ctrl-C does.
    """
    raise_for_signals()
    try:
        yield
    except (DataMissingError, UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_DATA_MISSING if isinstance(error, DataMissingError) else EXIT_USAGE)
    except (FloatingPointError, OSError) as error:
        told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else f"{error}"
        print("\n".join([f"error: {told}", *getattr(error, "__notes__", ())]), file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt as interrupt:
        told = str(interrupt) or "stopped; what trainings have saved stays, and the same command with --resume goes on"
        print(told, file=sys.stderr)
        sys.exit(EXIT_SIGNAL + getattr(interrupt, "number", signal.SIGINT))
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
            told = "error: not enough memory, try smaller batches or a smaller network: "
            print(told + str(error).partition("\n")[0], file=sys.stderr)
        else:
            traceback.print_exc()
        sys.exit(EXIT_USAGE)
