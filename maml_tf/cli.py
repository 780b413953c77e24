"""The command `maml_tf` (`python -m maml_tf`): training and testing from spec files."""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import shlex
import sys
import traceback

from maml_tf.errors import EXIT_DATA_MISSING, EXIT_USAGE, DataMissingError, UsageError
from maml_tf.experiments.spec import PRECISIONS, PROFILES, read_spec


def main(arguments=None):
    """Runs one command line; ends with an exit code of maml_tf/errors.py."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = argparse.ArgumentParser(prog="maml_tf", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train and test specs, and write their result files")
    train.add_argument("specs", nargs="+", type=pathlib.Path, metavar="SPEC.yaml")
    add_training_options(train)
    train.add_argument("--results", type=pathlib.Path, default=pathlib.Path("results"), help="default: results")
    train.add_argument("--weights", type=pathlib.Path, help="keep the chosen weights in this folder (profile paper)")

    evaluate = commands.add_parser("evaluate", help="test a training as far as it got, an exported one, or weights")
    evaluate.add_argument("spec", type=pathlib.Path, metavar="SPEC.yaml")
    evaluate.add_argument(
        "--snapshots",
        type=pathlib.Path,
        metavar="FOLDER",
        help="what the runner of an exported loop wrote: choose the best model, test it, write result and weights",
    )
    evaluate.add_argument(
        "--weights", type=pathlib.Path, help="test this .npz; with --snapshots the folder for the chosen weights"
    )
    evaluate.add_argument("--results", type=pathlib.Path, default=pathlib.Path("results"), help="default: results")
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

    parsed = parser.parse_args(arguments)
    with exit_codes():
        {"train": _train, "evaluate": _evaluate, "export-training-loop": _export}[parsed.command](parsed)


def add_spec_options(parser):
    """Under which profile a spec is read, and what is taken in place of its own keys."""
    parser.add_argument(
        "--profile", choices=PROFILES, default="paper", help="paper (default): the protocol to the letter"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the spec's seeds")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="instead of the spec's model.precision: a variant with a name and results of its own, judged by no target",
    )


def add_training_options(parser):
    """The options that every training has."""
    add_spec_options(parser)
    begun = parser.add_mutually_exclusive_group()
    begun.add_argument("--resume", action="store_true", help="go on with trainings that were stopped")
    begun.add_argument("--restart", action="store_true", help="train anew, whatever lies in the runs folder")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard scalars into the runs folder")
    add_folder_options(parser)


def add_folder_options(parser):
    """Where trainings under way and data sets are."""
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs"), help="default: runs")
    add_data_option(parser)


def add_data_option(parser):
    """Where the data sets are."""
    parser.add_argument(
        "--data", type=pathlib.Path, default=pathlib.Path("data/prepared"), help="default: data/prepared"
    )


def spec_from(path, arguments):
    """The ExperimentSpec of a file, under the chosen profile, seeds and precision."""
    spec = read_spec(path, arguments.profile)
    if arguments.precision and arguments.precision != spec.model.precision:
        model = dataclasses.replace(spec.model, precision=arguments.precision)
        spec = dataclasses.replace(spec, name=f"{spec.name}_{arguments.precision}", model=model, targets={})
    return dataclasses.replace(spec, seeds=tuple(arguments.seeds)) if arguments.seeds else spec


def measure_from(spec, arguments, *, results, weights):
    """Measures a spec as the options say, and says what it took."""
    from maml_tf.experiments.measure import measure

    result = measure(
        spec,
        runs_folder=arguments.runs,
        data_folder=arguments.data,
        results_folder=results,
        weights_folder=weights,
        command=command_line(),
        resume=arguments.resume,
        restart=arguments.restart,
        tensorboard=arguments.tensorboard,
    )
    print(f"{spec.name} ({spec.profile}): trained and tested in {result.wall_seconds:.0f} s")
    return result


def command_line(*program):
    """What the user ran, for the result file; folders of this machine outside of the project by their last name.

    Args:
        *program: the arguments of `python` that start the program; by default those of the module that runs.
    """

    def portable(argument):
        inside = os.path.relpath(argument or os.curdir)
        if not inside.startswith(os.pardir):
            return inside if os.path.isabs(argument) else argument
        return os.path.basename(os.path.normpath(argument))

    module = os.path.relpath(sys.argv[0]).removesuffix(".py").replace(os.sep, ".").removesuffix(".__main__")
    return shlex.join(["python", *(program or ["-m", module]), *map(portable, sys.argv[1:])])


def print_curves(name, curves):
    """One line for each curve: its value after every gradient step."""
    for curve_name, curve in curves.items():
        points = zip(curve.grad_steps, curve.mean, curve.ci95, strict=True)
        print(f"{name} {curve_name}: " + "  ".join(f"{step}: {mean:.4g} ± {ci95:.2g}" for step, mean, ci95 in points))


def _train(arguments):
    specs = [spec_from(path, arguments) for path in arguments.specs]  # all are read before the first is trained
    from maml_tf.runtime import configure_runtime

    configure_runtime()
    for spec in specs:
        print_curves(
            spec.name, measure_from(spec, arguments, results=arguments.results, weights=arguments.weights).curves
        )


def _evaluate(arguments):
    spec = spec_from(arguments.spec, arguments)
    from maml_tf.runtime import configure_runtime

    configure_runtime()
    if arguments.snapshots is None and arguments.weights is not None:
        _evaluate_weights(spec, arguments)
    else:
        _evaluate_training(spec, arguments)


def _evaluate_weights(spec, arguments):
    from maml_tf.experiments.run import build_experiment, summarise
    from maml_tf.training.adam import TrainingState
    from maml_tf.training.checkpoint import Saved, read_weights

    experiment = build_experiment(spec, spec.seeds[0], arguments.data)
    weights = read_weights(arguments.weights, experiment.model)
    scores, _ = experiment.test(Saved(TrainingState.start(weights)))
    print_curves(spec.name, {name: summarise([values]) for name, values in scores.items()})


def _evaluate_training(spec, arguments):
    from maml_tf.experiments.partial import evaluate_partial
    from maml_tf.export.importer import import_run

    folders = {
        "runs_folder": arguments.runs,
        "data_folder": arguments.data,
        "results_folder": arguments.results,
        "weights_folder": arguments.weights,
    }
    if arguments.snapshots is None:
        result = evaluate_partial(spec, command=command_line(), **folders)
    else:
        result = import_run(
            spec, snapshots_folder=arguments.snapshots, seeds=arguments.seeds, command=command_line(), **folders
        )
    print_curves(spec.name, result.curves)
    print(f"{spec.name} ({result.profile}): {result.iterations_done} of {result.iterations_asked} iterations")


def _export(arguments):
    specs = [spec_from(path, arguments) for path in arguments.specs]
    from maml_tf.experiments.export_spec import check_exportable, export

    for spec in specs:
        check_exportable(spec)
    for spec, path in zip(specs, arguments.specs, strict=True):
        export(spec, folder=arguments.out, data_folder=arguments.data)
        print(f"{spec.name} ({spec.profile}): written to {arguments.out / spec.name}; on the other machine")
        print(f"  python {arguments.out.name}/run.py {arguments.out.name}/{spec.name} --out SNAPSHOTS")
        print(f"then here\n  python -m maml_tf evaluate {path} --snapshots SNAPSHOTS")


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
