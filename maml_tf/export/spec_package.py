"""From a spec to a package that trains it on another machine (see `writer`)."""

import pathlib
from typing import cast

from maml_tf.errors import UsageError
from maml_tf.experiments.base import CompiledExperiment
from maml_tf.experiments.provenance import provenance
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.run import Path, build_experiment
from maml_tf.experiments.spec import ExperimentSpec
from maml_tf.export.writer import export_training_loop
from maml_tf.meta.task_execution import vectorized_copy


def check_exportable(spec: ExperimentSpec) -> None:
    """Raises a UsageError where a spec has no training loop that could be exported."""
    if not issubclass(experiment_class(spec), CompiledExperiment):
        raise UsageError(f"{spec.name}: {spec.experiment} by {spec.method} has no compiled training loop to export")


def export_spec(spec: ExperimentSpec, *, folder: Path, data_folder: Path | None) -> None:
    """Writes the package of a spec: all its seeds, with its profile's number of iterations.

    Args:
        spec: what to train.
        folder: the folder of packages; this one becomes `<folder>/<spec>` and shares the images there.
        data_folder: the prepared data sets.

    Raises:
        UsageError: the spec has no compiled training loop, or the folder holds a package of it already.
    """
    check_exportable(spec)
    initial_params = {}
    for seed in spec.seeds:
        experiment = cast(CompiledExperiment, build_experiment(spec, seed, data_folder))
        initial_params[seed] = experiment.learner.initial_params()
    origin = provenance()
    export_training_loop(
        vectorized_copy(experiment.learner),
        experiment.tasks,
        spec.meta,
        initial_params,
        folder=pathlib.Path(folder),
        snapshot_every=spec.validation.every if spec.validation else spec.meta.iterations,
        about={
            "spec": spec.name,
            "profile": spec.profile,
            "spec_hash": spec.hash,
            "git_commit": origin["git_commit"],
            "packages": origin["packages"],
            "data": experiment.data,
        },
        tensor_float_32=spec.model.precision == "tensor_float_32",
    )
