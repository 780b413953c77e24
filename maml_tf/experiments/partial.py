"""Tests trainings before their end: at the iteration they have reached, or at exactly half of their iterations."""

import dataclasses
from collections.abc import Mapping

from maml_tf.errors import UsageError
from maml_tf.experiments.results import Result
from maml_tf.experiments.run import Path, run_directory_of, train_and_evaluate
from maml_tf.experiments.spec import ExperimentSpec
from maml_tf.training.checkpoint import Checkpoint
from maml_tf.training.train import half_way


def evaluate_partial(spec: ExperimentSpec, *, runs_folder: Path, **arguments) -> Result:
    """Tests the model that a spec's trainings would choose now, and writes the result file.

    An unfinished training is evaluated as a shorter one, under the profile "partial". Its state is only read, so the
    training may continue at the same time.

    Args:
        spec: under the profile that is being trained.
        runs_folder: the folder of its run directories.
        **arguments: data_folder, results_folder, command, weights_folder (see `train_and_evaluate`).

    Raises:
        UsageError: a seed was not started, or the seeds have reached different iterations.
    """
    checkpoints = {}
    for seed in spec.seeds:
        run_dir = run_directory_of(spec, seed, runs_folder)
        if not run_dir.exists():
            raise UsageError(
                f"{run_dir.path}: no training of {spec.name} was started there. Name a training by `maml_tf train` "
                "with --runs FOLDER, or --weights FILE.npz, or --snapshots FOLDER"
            )
        checkpoints[seed] = run_dir.read()
    reached = {seed: checkpoint.iteration for seed, checkpoint in checkpoints.items()}
    return _evaluate_as(partial_spec(spec, reached, where=runs_folder), spec, checkpoints, runs_folder, arguments)


def evaluate_half(spec: ExperimentSpec, *, runs_folder: Path, **arguments) -> Result:
    """Tests the model that a spec's trainings would have chosen at half of their iterations.

    A training whose model is chosen by validation keeps its checkpoint of that moment. It is the only moment before the
    end whose result counts for a verdict, so it is evaluated under a profile of its name, "half".

    Args:
        spec, runs_folder, **arguments: see `evaluate_partial`.

    Raises:
        UsageError: the spec has no half-way mark, or a training has not kept it.
    """
    shorter = half_spec(spec)
    checkpoints = {seed: run_directory_of(spec, seed, runs_folder).read_half() for seed in spec.seeds}
    return _evaluate_as(shorter, spec, checkpoints, runs_folder, arguments)


def half_spec(spec: ExperimentSpec) -> ExperimentSpec:
    """The spec of a training at half of its iterations, under the profile "half".

    Raises:
        UsageError: nothing is validated at that moment, so that it is no half-way mark.
    """
    every = spec.validation.every if spec.validation else None
    half = half_way(spec.iterations, every) if every else None
    if half is None:
        raise UsageError(
            f"{spec.name}: there is no half-way mark: it needs a section `validation` and an even number of iterations "
            f"(now {spec.iterations}) with half of it a multiple of validation.every (now {every})"
        )
    return spec.with_iterations(half, "half")


def partial_spec(spec: ExperimentSpec, reached: Mapping[int, int], where: Path) -> ExperimentSpec:
    """The spec of a training that stopped early: with fewer iterations, under the profile "partial".

    Args:
        spec: the whole training's.
        reached: iterations done, by seed.
        where: the folder of these trainings, for the message.

    Returns:
        `spec` itself if it was trained to its end.

    Raises:
        UsageError: the seeds have reached different iterations.
    """
    if len(set(reached.values())) > 1:
        stopped = ", ".join(f"seed {seed} at {iterations}" for seed, iterations in reached.items())
        raise UsageError(f"{where}: the seeds stopped at different iterations ({stopped}): train on, or use --seeds")
    iterations = next(iter(reached.values()))
    return spec if iterations == spec.iterations else spec.with_iterations(iterations, "partial")


def _evaluate_as(
    shorter: ExperimentSpec,
    spec: ExperimentSpec,
    checkpoints: Mapping[int, Checkpoint],
    runs_folder: Path,
    arguments: Mapping,
) -> Result:
    """Tests checkpoints as finished trainings of a shorter spec."""
    if shorter.hash != spec.hash:
        for seed, checkpoint in checkpoints.items():
            ended_here = dataclasses.replace(checkpoint, open_losses=None, validation_due=False)
            run_directory_of(shorter, seed, runs_folder).write(ended_here)
    return train_and_evaluate(shorter, runs_folder=runs_folder, **arguments)
