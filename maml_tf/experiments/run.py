"""From a spec to a result: train every seed, test it, put the numbers together."""

import hashlib
import pathlib
import shutil
import time

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.evaluation.intervals import half_width_95
from maml_tf.experiments.few_shot import ImageClassificationExperiment
from maml_tf.experiments.multi_task import MultiTaskExperiment
from maml_tf.experiments.results import Curve, Result, TargetValue, provenance
from maml_tf.experiments.rl import ReinforcementLearningExperiment
from maml_tf.experiments.sinusoid import SinusoidExperiment
from maml_tf.experiments.supervised import SupervisedExperiment
from maml_tf.training.checkpoint import RunDirectory, write_weights
from maml_tf.training.progress import announce
from maml_tf.training.train import meta_train


def build_experiment(spec, seed, data_folder):
    """The experiment that a spec describes, for one seed. From here on GPUs multiply in the precision it asks for."""
    tf.config.experimental.enable_tensor_float_32_execution(spec.model.precision == "tensor_float_32")
    if spec.method == "supervised":
        return SupervisedExperiment(spec, seed, data_folder)
    if spec.experiment == "image_classification":
        return ImageClassificationExperiment(spec, seed, data_folder)
    if spec.experiment == "reinforcement_learning":
        return ReinforcementLearningExperiment(spec, seed)
    if spec.method == "multitask":
        return MultiTaskExperiment(spec, seed)
    return SinusoidExperiment(spec, seed)


def run_directory_of(spec, seed, runs_folder, commit=None):
    """Where a spec's training of one seed lives: named by the spec's hash, so that no stale state is resumed."""
    return RunDirectory(pathlib.Path(runs_folder) / spec.name / f"{spec.profile}-{spec.hash}" / f"seed_{seed}", commit)


def train(spec, seed, *, runs_folder, data_folder, resume=False, restart=False, tensorboard=False):
    """Trains one seed of a spec, or takes the finished training that its run folder holds.

    Returns:
        (experiment, saved): the experiment and what its training reached.
    """
    run_dir = run_directory_of(spec, seed, runs_folder, provenance()["git_commit"])
    if restart and run_dir.path.exists():
        shutil.rmtree(run_dir.path)
    experiment = build_experiment(spec, seed, data_folder)
    label = f"{spec.name} ({spec.profile}, seed {seed})"
    if spec.method == "multitask":
        return experiment, experiment.train(run_dir, label)
    if spec.experiment == "reinforcement_learning":
        return experiment, experiment.train(run_dir, label, resume=resume, tensorboard=tensorboard)
    saved = meta_train(
        experiment.learner,
        experiment.distribution,
        experiment.initial_params,
        spec.meta,
        seed=seed,
        run_dir=run_dir,
        jit_compile=experiment.learner.task_execution.jit_compile,
        validate=experiment.validate,
        validate_every=spec.validation.every if spec.validation else None,
        resume=resume,
        tensorboard=tensorboard,
        label=label,
    )
    return experiment, saved


def run_experiment(spec, *, runs_folder, data_folder, command, weights_folder=None, **training_options):
    """Trains and tests every seed of a spec.

    Args:
        spec: an ExperimentSpec.
        runs_folder: where trainings under way live.
        data_folder: the prepared data sets.
        command: what the user ran, for the result file.
        weights_folder: the chosen weights of every seed are written to `<weights_folder>/<spec>/seed_<n>.npz`.
        **training_options: resume, restart, tensorboard (see `train`).

    Returns:
        A Result.
    """
    if not spec.seeds:
        raise UsageError(f"{spec.name}: seeds: at least one is needed")
    scores, settings, weights, wall_seconds, iterations, data = {}, {}, {}, 0.0, [], {}
    elsewhere, history = {}, {}
    for seed in spec.seeds:
        experiment, saved = train(spec, seed, runs_folder=runs_folder, data_folder=data_folder, **training_options)
        iterations.append(saved.iteration)
        elsewhere |= {saved.origin["trained_on"]: None} if saved.origin else {}
        announce(f"{spec.name} ({spec.profile}, seed {seed}): testing")
        started = time.monotonic()
        kept = {"run_folder": run_directory_of(spec, seed, runs_folder).path} if spec.method == "supervised" else {}
        seed_scores, seed_settings = experiment.test(saved, **kept)
        # Training and test count with the time they took when they ran, which may have been in several processes.
        wall_seconds += saved.seconds + saved.validation_seconds + time.monotonic() - started
        wall_seconds += experiment.test_seconds_elsewhere if kept else 0.0
        seed_settings |= {"training_seconds": round(saved.seconds, 1)}
        seed_settings |= {"validation_seconds": round(saved.validation_seconds, 1)} | saved.origin
        data = {key: str(value) for key, value in experiment.data.items()}
        for name, values in seed_scores.items():
            scores.setdefault(name, []).append(values)
        if saved.trained_at:  # the result's own `git_commit` is that of the code that tested
            seed_settings["trained_at"] = ", ".join(saved.trained_at)
        settings[f"seed_{seed}"] = seed_settings
        if saved.losses:
            curves = {"losses": saved.losses, "validations": saved.validations}
            history[f"seed_{seed}"] = {
                name: tuple(tuple(map(float, row)) for row in rows) for name, rows in curves.items()
            }
        if weights_folder is not None:
            path = pathlib.Path(weights_folder) / spec.name / f"seed_{seed}.npz"
            write_weights(path, experiment.model, saved.chosen_params)
            weights[f"{path.parent.name}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    curves = {name: summarise(values) for name, values in scores.items()}
    measured_by = provenance()
    if elsewhere:
        measured_by["hardware"] = f"trained on {'; '.join(elsewhere)}; tested on {measured_by['hardware']}"
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
        **measured_by,
    )


def summarise(scores):
    """A Curve of several seeds' scores [tasks, steps + 1].

    The mean is over tasks and seeds. The interval is over tasks, for one trained model, as the paper's: the mean of
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


def target_value(curves, answer, scores, where):
    """The TargetValue of a TargetSpec: one point of a curve, with the tasks that it was measured on."""
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
