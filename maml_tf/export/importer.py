"""Importing trainings that the exported loop's runner did elsewhere: validated and tested as if trained here."""

import dataclasses
import json
import pathlib
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ, open_npz
from maml_tf.errors import UsageError
from maml_tf.experiments.base import CompiledExperiment
from maml_tf.experiments.partial import half_spec, partial_spec
from maml_tf.experiments.results import Result
from maml_tf.experiments.run import Path, build_experiment, run_directory_of, tested_folder, train_and_evaluate
from maml_tf.experiments.spec import ExperimentSpec
from maml_tf.meta.learner import Learner
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from maml_tf.training.progress import Progress
from maml_tf.training.weights import read_weights


def import_run(
    spec: ExperimentSpec,
    *,
    snapshots_folder: Path,
    seeds: Sequence[int] | None = None,
    half: bool = False,
    runs_folder: Path,
    data_folder: Path | None,
    **arguments,
) -> Result:
    """Tests the runner's trainings of a spec, and writes result file and weights as for a training here.

    Every snapshot is validated on the spec's fixed validation tasks. Afterwards the runs folder holds the same files as
    after a training here. An unfinished training is evaluated as a shorter one, under the profile "partial".

    Args:
        spec: under the profile that was exported.
        snapshots_folder: the runner's output folder, with a folder `<spec>/seed_<n>` for each seed.
        seeds: some of the seeds there; all by default.
        half: test the model that would have been chosen at half of the iterations (see `evaluate_half`).
        runs_folder: the folder of run directories that the trainings are copied into.
        data_folder: the prepared data sets.
        **arguments: results_folder, command, weights_folder (see `train_and_evaluate`).

    Raises:
        UsageError: there is no such training, it is of another spec, or the runs folder holds another one.
    """
    folder = pathlib.Path(snapshots_folder) / spec.name
    there = sorted(int(found[1]) for path in folder.glob("seed_*") if (found := re.fullmatch(r"seed_(\d+)", path.name)))
    seeds = tuple(seeds or there)
    if not seeds or not set(seeds) <= set(there):
        raise UsageError(
            f"{folder}: no training of the seeds {', '.join(map(str, seeds)) or 'any'}: there are folders seed_<n> for "
            f"n = {', '.join(map(str, there)) or 'none'}"
        )
    states = {seed: _read_state(folder / f"seed_{seed}" / "state.npz", spec) for seed in seeds}
    reached = {seed: int(state["iteration"]) for seed, state in states.items()}
    spec = dataclasses.replace(spec, seeds=seeds)
    imported = half_spec(spec) if half else partial_spec(spec, reached, where=folder)
    for seed in seeds:
        if reached[seed] < imported.iterations:
            raise UsageError(f"{folder}/seed_{seed}: stopped at iteration {reached[seed]} of {imported.iterations}")
        _import_seed(imported, seed, states[seed], folder / f"seed_{seed}", runs_folder, data_folder)
    return train_and_evaluate(imported, runs_folder=runs_folder, data_folder=data_folder, **arguments)


def _import_seed(
    spec: ExperimentSpec,
    seed: int,
    state: Mapping[str, np.ndarray],
    folder: pathlib.Path,
    runs_folder: Path,
    data_folder: Path | None,
) -> None:
    """Writes the run directory of a training that ran on another machine, with the validations that are missing."""
    run_dir = run_directory_of(spec, seed, runs_folder)
    origin = _origin(state)
    checkpoint = run_dir.read() if run_dir.exists() else None
    if checkpoint is not None and checkpoint.imported_from.get("package") != origin["package"]:
        raise UsageError(
            f"{run_dir.path} holds another training of this spec and seed; remove it, or name another --runs folder"
        )
    experiment = cast(CompiledExperiment, build_experiment(spec, seed, data_folder))
    last = _training_state(state, experiment.learner, folder, spec.iterations)
    checkpoint = checkpoint or Checkpoint(last, imported_from=origin)
    checkpoint.state, checkpoint.imported_from = last, origin
    checkpoint.losses = [row for row in state["losses"].tolist() if row[0] <= spec.iterations]
    # The runner saves one time for all iterations: those of a part take their share.
    checkpoint.seconds = float(state["seconds"]) * spec.iterations / int(state["iteration"])
    if _validate_snapshots(experiment, checkpoint, folder, run_dir):
        run_dir.write(checkpoint)
        shutil.rmtree(tested_folder(spec, runs_folder), ignore_errors=True)  # the result of another training


def _validate_snapshots(
    experiment: CompiledExperiment, checkpoint: Checkpoint, folder: pathlib.Path, run_dir: RunDirectory
) -> bool:
    """Adds the validations that the checkpoint lacks; returns whether there is something new to write."""
    if experiment.validate is None:
        return not run_dir.exists()
    every, last = experiment.spec.validation.every, experiment.spec.iterations
    due = [*range(every, last, every), last]
    done = [iteration for iteration, _ in checkpoint.validations]
    with Progress(f"{experiment.label}, validating", len(due), len(done)) as progress:
        for number, iteration in enumerate(due, 1):
            if iteration in done:
                continue
            params = checkpoint.state.params
            if iteration < last:
                params = read_weights(_snapshot(folder, iteration), experiment.learner)
            started = time.monotonic()
            checkpoint.add_validation(iteration, params, float(experiment.validate(params)))
            checkpoint.validation_seconds += time.monotonic() - started
            run_dir.write(checkpoint)
            progress.update(number, validation=checkpoint.validations[-1][1], best=checkpoint.best_score)
    return len(done) < len(due)


def _snapshot(folder: pathlib.Path, iteration: int) -> pathlib.Path:
    return folder / f"snapshot_{iteration:07d}.npz"


def _read_state(path: pathlib.Path, spec: ExperimentSpec) -> dict[str, np.ndarray]:
    """The arrays of a runner's state.npz, checked to be of the spec."""
    try:
        with open_npz(path) as archive:
            state = dict(archive)
        trained = tuple(str(state[key]) for key in ("spec", "profile", "spec_hash"))
        missing = {"identity", "iteration", "git_commit", "places", "losses", "seconds"} - set(state)
        if missing:
            raise KeyError(min(missing))
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: not a state that the runner wrote ({error})") from None
    if trained != (spec.name, spec.profile, spec.hash):
        raise UsageError(
            f"{path}: trained from {trained[0]} (profile {trained[1]}, hash {trained[2]}), which is not this spec: "
            f"{spec.name} (profile {spec.profile}, hash {spec.hash})"
        )
    return state


def _training_state(
    state: Mapping[str, np.ndarray], learner: Learner, folder: pathlib.Path, iteration: int
) -> TrainingState:
    """The TrainingState that a runner reached, or an earlier one.

    An earlier one comes from a snapshot, which has no moments of Adam's: it can be tested, not continued.
    """
    if iteration < int(state["iteration"]):
        return TrainingState(tf.constant(iteration), read_weights(_snapshot(folder, iteration), learner), [], [])
    lists = []
    for part in ("params", "first_moments", "second_moments"):
        names = [f"{part}/{name}" for name in learner.param_names]
        for name, initial in zip(names, learner.initial_params(), strict=True):
            if name not in state or state[name].shape != tuple(initial.shape):
                raise UsageError(f"{folder / 'state.npz'}: {name} of shape {tuple(initial.shape)} is expected there")
        lists.append([tf.constant(state[name]) for name in names])
    return TrainingState(tf.constant(state["iteration"]), *lists)


def _origin(state: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Where a training ran, for the result file."""
    places = json.loads(str(state["places"]))
    return {
        "trained_on": "; ".join(dict.fromkeys(place["hardware"] for place in places)),
        "trained_with": "; ".join(dict.fromkeys(place["runtime"] for place in places)),
        "exported_at": str(state["git_commit"]),
        "package": str(state["identity"])[:10],
    }
