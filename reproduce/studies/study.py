"""What the studies share. A study measures something with weights that exist; it trains nothing."""

import argparse
import os
import time
from collections.abc import Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from maml_tf.cli import add_folder_options, add_spec_options, command_line, spec_from
from maml_tf.experiments.provenance import provenance
from maml_tf.experiments.results import Curve, Result, TargetValue, write_result
from maml_tf.experiments.spec import ExperimentSpec
from reproduce import paths


def study_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the options of every study: profile, seeds, precision, data, and the folder of runs."""
    parser = argparse.ArgumentParser(description=description)
    add_spec_options(parser)
    add_folder_options(parser)
    parser.set_defaults(runs=paths.RUNS, data=paths.DATA)
    return parser


def spec_of(name: str, arguments: argparse.Namespace) -> ExperimentSpec:
    """The spec `specs/<name>.yaml` under the chosen profile and seeds."""
    return spec_from(paths.SPECS / f"{name}.yaml", arguments)


def write_study(
    name: str,
    arguments: argparse.Namespace,
    *,
    started: float,
    data: Mapping[str, object] | None = None,
    targets: Mapping[str, TargetValue] | None = None,
    curves: Mapping[str, Curve] | None = None,
    settings: Mapping[str, dict] | None = None,
) -> None:
    """Writes the result of a study among your own results. Only the profile `paper` measures at full size.

    Args:
        name: of the result.
        arguments: the parsed options.
        started: `time.monotonic()` at the beginning.
        data: the origin of the data set, as `data` of an experiment.
        targets, curves, settings: as in the result files.
    """
    if arguments.profile != "paper":
        return
    result = Result(
        spec=name,
        profile=arguments.profile,
        seeds=(0,),  # nothing is trained, so no seed of ours plays a part
        iterations_done=0,
        iterations_asked=0,
        targets=dict(targets or {}),
        curves=dict(curves or {}),
        settings=dict(settings or {}),
        data={key: str(value) for key, value in (data or {}).items()},
        spec_hash="",
        wall_seconds=round(time.monotonic() - started, 1),
        command=command_line(),
        weights={},
        **provenance(),
    )
    path = write_result(result, paths.own_store(arguments.runs).results)
    print(f"written: {os.path.relpath(path, paths.ROOT)}")
