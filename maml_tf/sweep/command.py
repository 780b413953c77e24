"""The command `maml_tf sweep`: its options, and what it does from the specs to the comparison."""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib
import shlex
import subprocess
import sys
from collections.abc import Sequence

from maml_tf._io import check_writable
from maml_tf._options import add_folder_options, add_spec_options, spec_from, whole_number_from
from maml_tf._yaml import parse_yaml
from maml_tf.errors import EXIT_USAGE, UsageError
from maml_tf.sweep.jobs import Job, jobs_of
from maml_tf.sweep.launcher import Launcher
from maml_tf.sweep.states import State
from maml_tf.sweep.sweep import Row, Sweep, rows_of
from maml_tf.sweep.table import Display, counts, failures, table
from maml_tf.training.progress import announce

LAUNCHERS = ("local", "ray", "slurm")


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """The options of `maml_tf sweep`, except for `--set`."""
    parser.add_argument("specs", nargs="+", type=pathlib.Path, metavar="SPEC.yaml")
    add_spec_options(parser)
    add_folder_options(parser)
    parser.add_argument("--launcher", choices=LAUNCHERS, default="local", help="what runs the jobs; default: local")
    parser.add_argument(
        "--cores-per-run", type=whole_number_from(1), default=1, metavar="N", help="cores of each job; default: 1"
    )
    parser.add_argument(
        "--retries",
        type=whole_number_from(0),
        default=0,
        metavar="N",
        help="more tries for a job that fails; default: 0",
    )
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="of the Ray cluster; default: the one that this machine belongs to"
    )
    parser.add_argument(
        "--slurm",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="options of sbatch, such as partition=long time=1440 (minutes)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="run nothing; print the commands of the trainings to do",
    )


def run_sweep(arguments: argparse.Namespace) -> int:
    """Trains every seed of every spec, tests each spec, and compares the results; returns the exit code."""
    specs = [(path, spec_from(path, arguments)) for path in arguments.specs]
    jobs = jobs_of(specs, options=train_options(arguments), runs_folder=arguments.runs)
    rows = rows_of(jobs)
    if arguments.dry_run:
        print_commands(rows)
        return 0
    check_writable(arguments.runs, "--runs")
    launcher = launcher_from(arguments)
    announce(counts(rows))
    sweep = Sweep(rows, launcher, arguments.retries, Display())
    try:
        sweep.run()
    finally:
        print("\n".join(table(rows)), flush=True)
    told = failures(rows)
    print("\n".join([*told, counts(rows)]), flush=True)
    if any(row.state != State.FINISHED for row in rows):
        return EXIT_USAGE
    return compare(arguments.runs) if any(spec.targets and spec.profile != "smoke" for _, spec in specs) else 0


def train_options(arguments: argparse.Namespace) -> list[str]:
    """The options of `maml_tf train` that a job has from the sweep's."""
    options = ["--profile", arguments.profile]
    if arguments.precision:
        options += ["--precision", arguments.precision]
    options += ["--runs", str(arguments.runs), "--data", str(arguments.data)]
    return [*options, "--set", *arguments.changes] if arguments.changes else options


def launcher_from(arguments: argparse.Namespace) -> Launcher:
    """The launcher that the options choose.

    Raises:
        UsageError: it cannot be used here, or an option belongs to another one.
    """
    if arguments.slurm and arguments.launcher != "slurm":
        raise UsageError(f"--slurm: not with --launcher {arguments.launcher}")
    if arguments.address is not None and arguments.launcher != "ray":
        raise UsageError(f"--address: not with --launcher {arguments.launcher}")
    if arguments.launcher == "ray":
        from maml_tf.sweep.ray import RayLauncher

        return RayLauncher(arguments.cores_per_run, "auto" if arguments.address is None else arguments.address)
    if arguments.launcher == "slurm":
        from maml_tf.sweep.slurm import SlurmLauncher

        folder = pathlib.Path(os.path.abspath(arguments.runs)) / "slurm"
        return SlurmLauncher(arguments.cores_per_run, folder, slurm_parameters(arguments.slurm))
    from maml_tf.sweep.local import LocalLauncher

    return LocalLauncher(arguments.cores_per_run)


def slurm_parameters(arguments: Sequence[str]) -> dict[str, object]:
    """The values of `--slurm KEY=VALUE ...` by key.

    Raises:
        UsageError: one is not of that form, or a key is given twice.
    """
    parameters: dict[str, object] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not (equals and key.isidentifier() and text):
            raise UsageError(f"--slurm {argument}: expected KEY=VALUE, such as partition=long")
        if key in parameters:
            raise UsageError(f"--slurm {key}: given twice")
        parameters[key] = parse_yaml(text, f"--slurm {key}")
    return parameters


def print_commands(rows: Sequence[Row]) -> None:
    """Prints the command of each training that is not finished, quoted for the shell, and says what comes after."""
    trainings = [row for row in rows if row.job.run_folder is not None]
    for row in trainings:
        if row.state not in (State.FINISHED, State.ELSEWHERE):
            print(in_folder(row.job))
    announce(counts(trainings))
    announce("when all trainings are finished, these commands test them and write the results:")
    for row in rows:
        if row.job.run_folder is None:
            announce(in_folder(row.job))


def in_folder(job: Job) -> str:
    """The command of a job for a shell in any folder."""
    return f"cd {shlex.quote(str(job.folder))} && {shlex.join(job.command)}"


def compare(runs_folder: pathlib.Path) -> int:
    """Compares the results with the paper where this repository is; returns the exit code of the comparison."""
    if importlib.util.find_spec("reproduce") is None:
        return 0
    command = [sys.executable, "-m", "reproduce.compare", "--runs", str(runs_folder)]
    return subprocess.run(command).returncode
