"""What the scripts of this folder share: their options and folders."""

import argparse
import os
import time

from maml_tf.cli import add_training_options, command_line, measure_from, spec_from
from reproduce.paths import HERE, PUBLISHED, ROOT, SPECS  # noqa: F401

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
RESULTS, FIGURES, CHECKPOINTS = PUBLISHED.results, PUBLISHED.figures, PUBLISHED.checkpoints


def parse_arguments(description):
    """A parser with the options that every experiment has; runs and data lie in the project."""
    parser = argparse.ArgumentParser(description=description)
    add_training_options(parser)
    parser.set_defaults(runs=ROOT / "runs", data=ROOT / "data" / "prepared")
    return parser


def spec_of(name, arguments):
    """The ExperimentSpec `specs/<name>.yaml` under the chosen profile and seeds."""
    return spec_from(SPECS / f"{name}.yaml", arguments)


def measure(name, arguments):
    """The Result of `specs/<name>.yaml`, trained and tested unless that is done already."""
    return measure_from(spec_of(name, arguments), arguments, results=RESULTS, weights=CHECKPOINTS)


def write_measurement(spec, profile, started, data, *, targets=None, curves=None, settings=None):
    """Writes the result of a measurement that trains nothing of ours: (profile `paper` only; others mean nothing).

    Args:
        spec: the result's name.
        profile: of the measurement.
        started: `time.monotonic()` at its beginning.
        data: the data set's source, as an experiment's `data`.
        targets, curves, settings: as in the result files.
    """
    from maml_tf.experiments.results import Result, provenance, write_result

    if profile != "paper":
        return
    result = Result(
        spec=spec,
        profile=profile,
        seeds=(0,),  # no seed of ours
        iterations_done=0,
        iterations_asked=0,
        targets=targets or {},
        curves=curves or {},
        settings=settings or {},
        data={key: str(value) for key, value in data.items()},
        spec_hash="",
        wall_seconds=round(time.monotonic() - started, 1),
        command=command_line(),
        weights={},
        **provenance(),
    )
    write_result(result, RESULTS)


def save_figure(figure, name, arguments):
    """Writes a figure: that of the paper profile where the README shows it, others beside their trainings."""
    from reproduce.comparison.figures import save

    path = (FIGURES if arguments.profile == "paper" else arguments.runs / "figures" / arguments.profile) / f"{name}.png"
    save(figure, path)
    print(f"drawn: {os.path.relpath(path, ROOT)}")
