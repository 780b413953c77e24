"""From a spec to a package that trains it elsewhere (see `maml_tf/export/writer.py`)."""

from maml_tf.errors import UsageError
from maml_tf.experiments.results import provenance
from maml_tf.experiments.run import build_experiment
from maml_tf.export.writer import export_training_loop
from maml_tf.meta.task_execution import vectorized_copy


def check_exportable(spec):
    """Raises a UsageError where a spec has no training loop that could be exported."""
    if spec.experiment == "reinforcement_learning" or spec.method == "multitask":
        raise UsageError(f"{spec.name}: {spec.experiment} by {spec.method} has no compiled training loop to export")


def export(spec, *, folder, data_folder):
    """Writes the package of a spec: all its seeds, at its profile's iterations.

    Args:
        spec: an ExperimentSpec.
        folder: where packages are collected; this one becomes `<folder>/<spec>`, and shares the images there.
        data_folder: the prepared data sets.

    Raises:
        UsageError: the spec has no compiled training loop, or the folder holds a package of it already.
    """
    check_exportable(spec)
    initial_params = {}
    for seed in spec.seeds:
        experiment = build_experiment(spec, seed, data_folder)
        initial_params[seed] = experiment.initial_params
    origin = provenance()
    export_training_loop(
        vectorized_copy(experiment.learner),
        experiment.distribution,
        spec.meta,
        initial_params,
        folder=folder,
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
