"""Trainings that the exported loop's runner did elsewhere: brought back, validated, tested as if trained here."""

import dataclasses
import json
import pathlib
import re
import shutil
import time

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ
from maml_tf.errors import UsageError
from maml_tf.experiments.measure import measure, measured_folder
from maml_tf.experiments.partial import as_far_as
from maml_tf.experiments.run import build_experiment, run_directory_of
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Saved, read_weights, weight_names
from maml_tf.training.progress import Progress


def import_run(spec, *, snapshots_folder, seeds=None, runs_folder, data_folder, **measuring):
    """Tests what the runner trained of a spec, and writes result file and weights as a training here would.

    Every snapshot is validated on the spec's fixed validation tasks; then the runs folder holds what a training here
    would have left there, and all else is the same. A training that stopped early is measured under the profile
    "partial", as a training of so many iterations.

    Args:
        spec: an ExperimentSpec, under the profile that was exported.
        snapshots_folder: the runner's output folder, with a folder `<spec>/seed_<n>` for each seed.
        seeds: some of the seeds there; all by default.
        runs_folder: the trainings are taken over into it.
        data_folder: the prepared data sets.
        **measuring: results_folder, command, weights_folder (see `maml_tf.experiments.measure.measure`).

    Returns:
        The Result.

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
    spec = as_far_as(dataclasses.replace(spec, seeds=seeds), reached, where=folder)
    for seed in seeds:
        _take_over(spec, seed, states[seed], folder / f"seed_{seed}", runs_folder, data_folder)
    return measure(spec, runs_folder=runs_folder, data_folder=data_folder, **measuring)


def _take_over(spec, seed, state, folder, runs_folder, data_folder):
    """Writes the run folder of a training that was run elsewhere, with the validations that are not done yet."""
    run_dir = run_directory_of(spec, seed, runs_folder)
    origin = _origin(state)
    saved = run_dir.read() if run_dir.exists() else Saved(None, origin=origin)
    if saved.origin.get("package") != origin["package"]:
        raise UsageError(
            f"{run_dir.path} holds another training of this spec and seed; remove it, or name another --runs folder"
        )
    experiment = build_experiment(spec, seed, data_folder)
    saved.state, saved.origin = _training_state(state, experiment.model, folder / "state.npz"), origin
    saved.losses, saved.seconds = state["losses"].tolist(), float(state["seconds"])
    every = spec.validation.every if experiment.validate else spec.iterations
    due = [*range(every, spec.iterations, every), spec.iterations] if experiment.validate else []
    done = [iteration for iteration, _ in saved.validations]
    with Progress(f"{spec.name} (seed {seed}), validating", len(due), len(done)) as progress:
        for number, iteration in enumerate(due, 1):
            if iteration in done:
                continue
            params = saved.state.params
            if iteration < spec.iterations:
                params = read_weights(folder / f"snapshot_{iteration:07d}.npz", experiment.model)
            started = time.monotonic()
            saved.validated(iteration, params, float(experiment.validate(params)))
            saved.validation_seconds += time.monotonic() - started
            run_dir.write(saved)
            progress.update(number, validation=saved.validations[-1][1], best=saved.best_score)
    if len(done) < max(1, len(due)):
        run_dir.write(saved)
        shutil.rmtree(measured_folder(spec, runs_folder), ignore_errors=True)  # measured on another training


def _read_state(path, spec):
    """The arrays of a runner's state.npz, checked to be of the spec."""
    try:
        with np.load(path, allow_pickle=False) as archive:
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


def _training_state(state, model, path):
    """The TrainingState among a runner's arrays, for a model."""
    lists = []
    for part in ("params", "first_moments", "second_moments"):
        names = [f"{part}/{name}" for name in weight_names(model)]
        for name, variable in zip(names, model.trainable_variables, strict=True):
            if name not in state or state[name].shape != tuple(variable.shape):
                raise UsageError(f"{path}: {name} of shape {tuple(variable.shape)} is expected there")
        lists.append([tf.constant(state[name]) for name in names])
    return TrainingState(tf.constant(state["iteration"]), *lists)


def _origin(state):
    """Where a training was run, for the result file."""
    places = json.loads(str(state["places"]))
    return {
        "trained_on": "; ".join(dict.fromkeys(place["hardware"] for place in places)),
        "trained_with": "; ".join(dict.fromkeys(place["runtime"] for place in places)),
        "exported_at": str(state["git_commit"]),
        "package": str(state["identity"])[:10],
    }
