"""Trainings that are under way or were stopped, tested as far as they got."""

import dataclasses

from maml_tf.errors import UsageError
from maml_tf.experiments.measure import measure
from maml_tf.experiments.run import run_directory_of


def evaluate_partial(spec, *, runs_folder, **measuring):
    """Tests the model that a spec's trainings in the runs folder would choose by now, and writes the result file.

    A training that has not reached its end is measured under the profile "partial", as a training of so many
    iterations. It is only read: it can be going on meanwhile, and goes on later as if nothing had been asked.

    Args:
        spec: an ExperimentSpec, under the profile that is being trained.
        runs_folder: where its trainings live.
        **measuring: data_folder, results_folder, command, weights_folder (see `maml_tf.experiments.measure.measure`).

    Returns:
        The Result.

    Raises:
        UsageError: a seed was not begun, or the seeds have got differently far.
    """
    folders = {seed: run_directory_of(spec, seed, runs_folder) for seed in spec.seeds}
    for folder in folders.values():
        if not folder.exists():
            raise UsageError(
                f"{folder.path}: no training of {spec.name} was begun there. What is to be tested? A training by "
                "`maml_tf train` in --runs FOLDER, --weights FILE.npz or --snapshots FOLDER"
            )
    states = {seed: folder.read() for seed, folder in folders.items()}
    reached = {seed: saved.iteration for seed, saved in states.items()}
    so_far = as_far_as(spec, reached, where=runs_folder)
    if so_far.hash != spec.hash:
        for seed, saved in states.items():
            run_directory_of(so_far, seed, runs_folder).write(saved)
    return measure(so_far, runs_folder=runs_folder, **measuring)


def as_far_as(spec, reached, where):
    """The spec of a training that stopped early: as it is, but of so many iterations, under the profile "partial".

    Args:
        spec: an ExperimentSpec.
        reached: iterations done, by seed.
        where: the folder that holds these trainings, for the message.

    Returns:
        `spec` itself if it was trained to its end.

    Raises:
        UsageError: the seeds have got differently far.
    """
    if len(set(reached.values())) > 1:
        stopped = ", ".join(f"seed {seed} at {iterations}" for seed, iterations in reached.items())
        raise UsageError(f"{where}: the seeds stopped at different iterations ({stopped}): train on, or use --seeds")
    iterations = next(iter(reached.values()))
    if iterations == spec.iterations:
        return spec
    return dataclasses.replace(spec, profile="partial", meta=dataclasses.replace(spec.meta, iterations=iterations))
