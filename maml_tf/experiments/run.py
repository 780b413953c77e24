"""From a spec to a result: train every seed, evaluate it, put the numbers together, write them."""

import dataclasses
import hashlib
import os
import pathlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from maml_tf.errors import DataMissingError, UsageError
from maml_tf.evaluation.intervals import half_width_95
from maml_tf.evaluation.robust import bootstrap_interval_95, interquartile_mean
from maml_tf.experiments.base import Experiment, TrainingOptions
from maml_tf.experiments.provenance import git_commit, provenance
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.results import (
    Curve,
    Result,
    Robust,
    TargetValue,
    longer_result,
    read_result,
    result_path,
    write_result,
)
from maml_tf.experiments.spec import ExperimentSpec, TargetSpec
from maml_tf.tasks.image_set import hashes_of
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from maml_tf.training.progress import announce
from maml_tf.training.weights import write_weights

Path = str | os.PathLike
# Profiles whose chosen weights are kept, each with the ending of their file names.
WEIGHTS_KEPT = {"paper": "", "half": "_half"}


@dataclasses.dataclass(frozen=True)
class Trained:
    """One trained seed of a spec.

    Attributes:
        experiment: its Experiment.
        checkpoint: what its training reached.
        run_dir: where that is saved.
    """

    experiment: Experiment
    checkpoint: Checkpoint
    run_dir: RunDirectory


def build_experiment(spec: ExperimentSpec, seed: int, data_folder: Path | None) -> Experiment:
    """The experiment that a spec describes, for one seed.

    From here on GPUs multiply in the precision that the spec asks for.
    """
    tf.config.experimental.enable_tensor_float_32_execution(spec.model.precision == "tensor_float_32")
    return experiment_class(spec)(spec, seed, data_folder)


def run_directory_of(spec: ExperimentSpec, seed: int, runs_folder: Path, commit: str | None = None) -> RunDirectory:
    """The directory of a spec's training of one seed. The spec's hash is in its name, so no stale state is resumed."""
    return RunDirectory(pathlib.Path(runs_folder) / spec.run_folder(seed), commit)


def train(
    spec: ExperimentSpec,
    seed: int,
    *,
    runs_folder: Path,
    data_folder: Path | None,
    restart: bool = False,
    options: TrainingOptions | None = None,
) -> Trained:
    """Trains one seed of a spec, or takes the finished training that its run directory holds.

    Args:
        spec, seed: what to train.
        runs_folder: the folder of all run directories.
        data_folder: the prepared data sets.
        restart: remove what the run directory holds and train from the beginning.
        options: how to train; see TrainingOptions.

    Raises:
        UsageError: the run directory holds an unfinished training, and the options do not say to resume it; or there
            are workers and the training cannot be spread.
    """
    experiment = build_experiment(spec, seed, data_folder)
    if options is not None and options.workers is not None and not experiment.spreads:
        raise UsageError(f"{spec.name}: workers: not allowed with the method {spec.method!r}, which cannot be spread")
    run_dir = run_directory_of(spec, seed, runs_folder, git_commit())
    classes = experiment.classes  # hashed as they were loaded: what is trained on is what the hash says
    run_dir.data = hashes_of(classes) if classes else experiment.data_hashes(spec, data_folder)
    if restart and run_dir.path.exists():
        with run_dir.locked():
            run_dir.clear()
    try:
        checkpoint = experiment.train(run_dir, options or TrainingOptions())
    except (UsageError, DataMissingError, FloatingPointError):  # these say what is needed
        raise
    except Exception as error:
        if run_dir.exists():
            error.add_note(
                f"{experiment.label}: the last saved state is in {run_dir.path}; the same command with --resume goes on"
            )
        raise
    return Trained(experiment, checkpoint, run_dir)


def evaluate(
    spec: ExperimentSpec, trained: Iterable[Trained], *, command: str, weights_folder: Path | None = None
) -> Result:
    """Tests every seed and puts the numbers together.

    Args:
        spec: what was trained.
        trained: its seeds, in the spec's order; an iterator, so that each can be trained when its turn comes.
        command: the user's command, for the result file.
        weights_folder: the chosen weights of every seed are written to `<weights_folder>/<spec>/seed_<n>.npz`.
    """
    scores: dict[str, list[np.ndarray]] = {}
    settings, weights, history, data, iterations, wall_seconds = {}, {}, {}, {}, [], 0.0
    diverged_above, kept_scores = None, ()
    hardware_elsewhere: dict[str, None] = {}
    for seed, one in zip(spec.seeds, trained, strict=True):
        experiment, checkpoint = one.experiment, one.checkpoint
        announce(f"{experiment.label}: testing")
        started = time.monotonic()
        seed_scores, seed_settings = experiment.evaluate(checkpoint, one.run_dir)
        # Training and test count with the time that they took when they ran, which may have been in several processes.
        wall_seconds += time.monotonic() - started + experiment.seconds_elsewhere
        wall_seconds += checkpoint.seconds + checkpoint.validation_seconds
        iterations.append(checkpoint.iteration)
        diverged_above, kept_scores = experiment.diverged_above, experiment.kept_scores
        for name, values in seed_scores.items():
            scores.setdefault(name, []).append(values)
        settings[f"seed_{seed}"] = seed_settings | _settings_of(checkpoint)
        if checkpoint.losses:
            history[f"seed_{seed}"] = _history_of(checkpoint)
        if checkpoint.imported_from:
            hardware_elsewhere[checkpoint.imported_from["trained_on"]] = None
        data = {key: str(value) for key, value in experiment.data.items()}
        if weights_folder is not None:
            name = f"{spec.name}/seed_{seed}{WEIGHTS_KEPT.get(spec.profile, '')}.npz"
            path = pathlib.Path(weights_folder) / name
            write_weights(path, experiment.learner, checkpoint.params)
            weights[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if not scores:
        raise UsageError(f"{spec.name}: seeds: at least one is needed")
    curves = {name: summarise(values) for name, values in scores.items()}
    robust = {}
    if diverged_above is not None:  # of the test's own tasks: a check on many more needs no interval
        tested = {name: values for name, values in scores.items() if len(values[0]) == spec.evaluation.tasks}
        robust = {name: robust_statistics(values, diverged_above) for name, values in tested.items()}
    measured_by = provenance()
    if hardware_elsewhere:
        measured_by["hardware"] = f"trained on {'; '.join(hardware_elsewhere)}; tested on {measured_by['hardware']}"
    return Result(
        spec=spec.name,
        profile=spec.profile,
        seeds=spec.seeds,
        iterations_done=min(iterations),
        iterations_asked=spec.iterations_asked,
        targets={
            target: target_value(curves, answer, scores, f"{spec.name}: targets.{target}")
            for target, answer in spec.targets.items()
        },
        curves=curves,
        settings=settings,
        data=data,
        spec_hash=spec.hash,
        wall_seconds=round(wall_seconds, 1),
        command=command,
        weights=weights,
        history=history or None,
        robust=robust or None,
        task_scores={name: scores_of_tasks(scores[name]) for name in kept_scores if name in scores} or None,
        **measured_by,
    )


def train_and_evaluate(
    spec: ExperimentSpec,
    *,
    runs_folder: Path,
    data_folder: Path | None,
    results_folder: Path,
    command: str,
    weights_folder: Path | None = None,
    restart: bool = False,
    options: TrainingOptions | None = None,
) -> Result:
    """Trains and tests a spec unless that is done, and writes its result file and weights.

    The runs folder says what is done: it holds the finished trainings and, next to them, the result of testing them,
    which is valid as long as code and data are the same. Results of the `smoke` profile stay there: their numbers mean
    nothing.

    Args:
        spec: what to train and test.
        runs_folder, data_folder, restart, options: see `train`.
        results_folder: where the result file goes; a partial result there with more iterations stays in its place.
        command: see `evaluate`.
        weights_folder: see `evaluate`; weights of the profiles `paper` and `half` are kept.
    """
    tested = tested_folder(spec, runs_folder)
    result = None if restart else _tested_by_this_code(result_path(spec.name, spec.profile, tested))
    if result is not None:
        _check_data(spec, result, runs_folder, data_folder)
    else:
        folders = {"runs_folder": runs_folder, "data_folder": data_folder}

        def trained() -> Iterator[Trained]:
            for seed in spec.seeds:
                yield train(spec, seed, restart=restart, options=options, **folders)

        kept = weights_folder if spec.profile in WEIGHTS_KEPT else None
        result = evaluate(spec, trained(), command=command, weights_folder=kept)
        write_result(result, tested)
    if spec.profile != "smoke":
        longer = longer_result(result, results_folder)
        if longer is None:
            write_result(result, results_folder)
        else:
            announce(f"{longer} stays, it has more iterations than {result.iterations_done}; remove it to replace it")
    return result


def tested_folder(spec: ExperimentSpec, runs_folder: Path) -> pathlib.Path:
    """The folder of the result of testing a spec's finished trainings, which is next to them."""
    return run_directory_of(spec, 0, runs_folder).path.parent / f"measured-{spec.full_hash}"


def summarise(scores: Sequence[np.ndarray]) -> Curve:
    """A Curve of several seeds' scores [tasks, steps + 1].

    The mean is over tasks and seeds. The interval is over tasks, for one trained model, as in the paper: the mean of
    the seeds' half widths.
    """
    per_seed = np.stack([values.mean(axis=0, dtype=np.float64) for values in scores])
    half_widths = np.stack([half_width_95(values) for values in scores])
    return Curve(
        grad_steps=tuple(range(per_seed.shape[1])),
        mean=tuple(per_seed.mean(axis=0).tolist()),
        ci95=tuple(half_widths.mean(axis=0).tolist()),
        per_seed=tuple(map(tuple, per_seed.tolist())),
    )


def robust_statistics(scores: Sequence[np.ndarray], diverged_above: float) -> Robust:
    """Statistics of several seeds' scores [tasks, steps + 1] that rare tasks do not decide.

    A score above `diverged_above`, or one that is no number, has diverged.
    """
    steps = np.stack(scores).astype(np.float64).transpose(2, 0, 1)  # [steps + 1, seeds, tasks]
    steps = np.where(np.isnan(steps), np.inf, steps)
    intervals = [bootstrap_interval_95(step) for step in steps]
    flat = steps.reshape(len(steps), -1)
    return Robust(
        median=tuple(np.median(flat, axis=1).tolist()),
        iqm=tuple(interquartile_mean(flat).tolist()),
        iqm_low=tuple(low for low, _ in intervals),
        iqm_high=tuple(high for _, high in intervals),
        diverged=tuple((flat > diverged_above).mean(axis=1).tolist()),
    )


def scores_of_tasks(scores: Sequence[np.ndarray]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Several seeds' scores [tasks, steps + 1] as a result file keeps them: [seeds][tasks][steps + 1]."""
    return tuple(tuple(map(tuple, values.astype(np.float64).tolist())) for values in scores)


def target_value(
    curves: Mapping[str, Curve], answer: TargetSpec, scores: Mapping[str, Sequence[np.ndarray]], where: str
) -> TargetValue:
    """The measured value of a target.

    Args:
        curves: the measured curves by name.
        answer: which point of which curve it is.
        scores: the scores [tasks, steps + 1] of every seed, by curve.
        where: the target, for the message.

    Raises:
        UsageError: there is no such point.
    """
    curve = curves.get(answer.curve)
    if curve is None or answer.step not in curve.grad_steps:
        raise UsageError(
            f"{where}: there is no curve {answer.curve!r} with step {answer.step}; curves: {', '.join(curves)}"
        )
    point = curve.grad_steps.index(answer.step)
    return TargetValue(
        mean=curve.mean[point],
        ci95=curve.ci95[point],
        n_tasks=len(scores[answer.curve][0]),
        per_seed=tuple(values[point] for values in curve.per_seed),
    )


def _settings_of(checkpoint: Checkpoint) -> dict[str, float | str]:
    """What a result file says about the training of one seed."""
    settings = {
        "training_seconds": round(checkpoint.seconds, 1),
        "validation_seconds": round(checkpoint.validation_seconds, 1),
    } | checkpoint.imported_from
    if checkpoint.trained_at:  # the result's own `git_commit` is that of the code that tested
        settings["trained_at"] = ", ".join(checkpoint.trained_at)
    return settings


def _history_of(checkpoint: Checkpoint) -> dict[str, tuple[tuple[float, ...], ...]]:
    rows = {"losses": checkpoint.losses, "validations": checkpoint.validations}
    return {name: tuple(tuple(map(float, row)) for row in curve) for name, curve in rows.items()}


def _check_data(spec: ExperimentSpec, result: Result, runs_folder: Path, data_folder: Path | None) -> None:
    """Raises a UsageError where a result that is taken as it is came from other data than the folder holds now."""
    hashes = experiment_class(spec).data_hashes(spec, data_folder)
    for seed in spec.seeds:
        run_dir = run_directory_of(spec, seed, runs_folder)
        run_dir.data = hashes
        if run_dir.exists():
            run_dir.read()
    tested = result.data.get("sha256")
    if hashes and tested is not None and tested not in hashes.values():
        raise UsageError(
            f"{spec.name}: its result is of other data: its SHA-256 is {tested}, that in {data_folder} is "
            f"{', '.join(hashes.values())}. --data names the folder of the data sets; --restart begins again"
        )


def _tested_by_this_code(path: pathlib.Path) -> Result | None:
    """The result in a file, if this very commit measured it."""
    commit = git_commit()
    if not path.exists() or commit.endswith("+dirty"):
        return None
    try:
        result = read_result(path)
    except UsageError:  # written by a version with other fields
        return None
    return result if result.git_commit == commit else None
