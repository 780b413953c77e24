"""The multi-task baselines of Table 2: regressors on single tasks, averaged, fine-tuned (Appendix C.1)."""

import os
import shutil
import time
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ, atomic_write, open_npz
from maml_tf.baselines.multi_task_averaging import SideBySideRegressors, Trained
from maml_tf.errors import UsageError
from maml_tf.experiments.base import Experiment, TrainingOptions
from maml_tf.experiments.sinusoid import DIVERGED, fine_tune
from maml_tf.experiments.sinusoid_spec import MultiTaskAveragingSpec
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import KERNEL_STDDEV
from maml_tf.tasks import random
from maml_tf.tasks.random import split, uniform
from maml_tf.tasks.sinusoid import AMPLITUDE, PHASE
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from maml_tf.training.divergence import ADVICE, is_finite
from maml_tf.training.progress import Progress, announce
from maml_tf.training.stopping import StopRequest, TrainingStoppedError

# Regressors that each candidate strength of the regulariser is tried on.
PILOT_REGRESSORS = 25
# Number of regressors trained side by side; with more, the work no longer fits into the processor's cache.
GROUP = 25
# Number of initialisations that a regressor gets to reach the threshold; a few get stuck above it.
TRIES = 20
# The folder in the run directory that keeps the regressors until all are trained.
PARTS = "regressors"


class MultiTaskExperiment(Experiment):
    """One row of Table 2's multi-task baselines, for one seed (see `Experiment`).

    The strength of the regulariser is not published. Here it is the largest of a grid with which the median regressor
    of a pilot still reaches the threshold (PROTOCOL 2.1); the choice and the fits are recorded in the result.

    Attributes:
        learner, adapting: the MAML that fine-tunes the average at test. The regressors are trained by `regressors`.
    """

    spec: MultiTaskAveragingSpec
    diverged_above = DIVERGED

    def __init__(self, spec: MultiTaskAveragingSpec, seed: int, data_folder: str | os.PathLike | None = None):
        super().__init__(spec, seed, data_folder)
        self.learner = self.adapting = self.build_learner(spec)
        self.model = self.learner.model
        self.regressors = SideBySideRegressors(self.model, spec.multitask)

    @staticmethod
    def build_learner(spec: MultiTaskAveragingSpec) -> MAML:
        """See `Experiment.build_learner`. A step size that is tuned for the test is 0 here."""
        step_size = 0.0 if spec.inner.step_size == "tuned" else spec.inner.step_size
        return MAML(spec.model.build((1,), 1), mean_squared_error, step_size, spec.inner.train_steps)

    def train(self, run_dir: RunDirectory, options: TrainingOptions) -> Checkpoint:
        """Trains all regressors and averages them; a finished training is taken from the run directory.

        Every group of regressors is kept when it is trained, so a training that was stopped goes on from there.

        Returns:
            The averaged parameters as its state and the number of regressors as its iterations. `validations` holds
            rows (steps, error) of every regressor, and `best_score` the chosen strength.
        """
        if run_dir.exists():
            return run_dir.read()
        self._parts = run_dir.path / PARTS
        if self._parts.exists() and not options.resume:
            raise UsageError(
                f"{run_dir.path} holds a training that was stopped: --resume (resume=True) continues it, --restart "
                "trains from the beginning"
            )
        started = time.monotonic()
        fit = self._one_after_another if self.spec.multitask.regulariser == "to_mean" else self._side_by_side
        with run_dir.locked(), StopRequest() as stop:
            self._stop = stop
            try:
                strength = self._strength(fit)
                with Progress(self.label, self.spec.multitask.regressors) as progress:
                    trained = fit(self.spec.multitask.regressors, strength, progress)
            except TrainingStoppedError as error:
                raise TrainingStoppedError(
                    f"{self.label}: stopped; the regressors trained so far are saved in {run_dir.path}. Go on by the "
                    "same command with --resume (resume=True)",
                    error.number,
                ) from None
            checkpoint = self._average(trained, strength, time.monotonic() - started)
            run_dir.write(checkpoint)
            shutil.rmtree(self._parts, ignore_errors=True)
        return checkpoint

    def _average(self, trained: Trained, strength: float, seconds: float) -> Checkpoint:
        """The checkpoint of the averaged regressors."""
        average = [tf.reduce_mean(p, axis=0) for p in trained.params]
        state = TrainingState.start(average)._replace(iteration=tf.constant(self.spec.multitask.regressors))
        return Checkpoint(
            state,
            best_params=average,
            best_score=strength,
            best_iteration=self.spec.multitask.regressors,
            validations=np.stack([trained.steps, trained.errors], axis=1).tolist(),
            seconds=seconds,
        )

    def evaluate(self, checkpoint: Checkpoint, run_dir: RunDirectory | None = None):
        """Fine-tunes the averaged parameters on the test functions (see `fine_tune`)."""
        scores, settings = fine_tune(self.spec, self.learner, checkpoint.params)
        if not checkpoint.validations:  # weights from a file, not a training
            return scores, {}
        steps, errors = np.asarray(checkpoint.validations).T
        return scores, settings | {
            "regulariser_strength": checkpoint.best_score,
            "regressors_under_threshold": int((errors < self.spec.multitask.threshold).sum()),
            "median_regressor_error": float(np.median(errors)),
            "median_training_steps": float(np.median(steps)),
        }

    def _strength(self, fit):
        """The largest strength whose pilot fits have a median error under the threshold; the smallest if none has."""
        strengths = sorted(self.spec.multitask.strengths, reverse=True)
        pilot = min(PILOT_REGRESSORS, self.spec.multitask.regressors)
        for strength in strengths[:-1]:
            with Progress(f"{self.label}, strength {strength:g}", pilot) as progress:
                if np.median(fit(pilot, strength, progress, tries=1).errors) < self.spec.multitask.threshold:
                    return strength
        return strengths[-1]

    def _side_by_side(self, count, strength, progress, tries=TRIES):
        """Trains groups of regressors at once, which is possible where none depends on another."""
        group = min(GROUP, count)
        done = []
        for index in range(-(-count // group)):
            done.append(self._kept_fit(group, index, None, strength, tries))
            progress.update(min((index + 1) * group, count))
        return _joined(done, count)

    def _one_after_another(self, count, strength, progress, tries=TRIES):
        """Trains each regressor toward the mean of those before it, so one after another. The first is free."""
        done, mean = [], None
        for index in range(count):
            done.append(self._kept_fit(1, index, mean, 0.0 if mean is None else strength, tries))
            newest = done[-1].params
            mean = newest if mean is None else [m + (p - m) / (index + 1) for m, p in zip(mean, newest, strict=True)]
            progress.update(index + 1, error=float(done[-1].errors[0]), steps=int(done[-1].steps[0]))
        return _joined(done, count)

    def _kept_fit(self, count, index, centre, strength, tries):
        """The regressors of `_fit`, read where an earlier process has kept them."""
        path = self._parts / f"{count}_regressors_{index}_strength_{strength!r}_tries_{tries}.npz"
        if path.exists():
            try:
                with open_npz(path) as archive:
                    params = [tf.constant(archive[f"params_{i}"]) for i in range(len(self.model.trainable_variables))]
                    return Trained(params, tf.constant(archive["errors"]), tf.constant(archive["steps"]))
            except UNREADABLE_NPZ as error:
                announce(f"{path} cannot be read ({error}): trained again")
        with self._stop.at_once():
            trained = self._fit(count, index, centre, strength, tries)
        assert trained is not None  # one try or more
        if not is_finite(tuple(trained)):
            raise FloatingPointError(
                f"{self.label}: regressors {index * count} to {(index + 1) * count - 1} (strength {strength:g}) are "
                f"not finite. {ADVICE}. Those before are saved in {self._parts}"
            )
        with atomic_write(path, "wb") as file:
            arrays: dict[str, Any] = {f"params_{i}": np.asarray(p) for i, p in enumerate(trained.params)}
            np.savez(file, errors=np.asarray(trained.errors), steps=np.asarray(trained.steps), **arrays)
        return trained

    def _fit(self, count, index, centre, strength, tries):
        """Trains group `index` of fresh regressors; those that miss the threshold get fresh weights, `tries` in all."""
        seed = tf.random.fold_in(tf.constant((self.seed, random.MULTITASK_TASKS[1])), index, alg="philox")
        amplitude_seed, phase_seed, *try_seeds = split(seed, 2 + tries)
        amplitude = uniform(amplitude_seed, [count], *AMPLITUDE)
        phase = uniform(phase_seed, [count], *PHASE)
        centre = [tf.zeros([1])] * len(self.model.trainable_variables) if centre is None else centre
        trained = None
        for try_seed in try_seeds:
            weight_seed, point_seed = split(try_seed, 2)
            params = self._fresh(count, weight_seed)
            if trained is not None:  # those that reached the threshold stop at their first check
                arrived = trained.errors < self.spec.multitask.threshold
                params = [
                    tf.where(tf.reshape(arrived, [count, *[1] * (p.shape.rank - 1)]), old, p)
                    for old, p in zip(trained.params, params, strict=True)
                ]
            before = 0 if trained is None else trained.steps
            trained = self.regressors.train(params, amplitude, phase, centre, tf.constant(strength), point_seed)
            trained = trained._replace(steps=trained.steps + before)
            if bool(tf.reduce_all(trained.errors < self.spec.multitask.threshold)):
                break
        return trained

    def _fresh(self, count, seed):
        """Freshly initialised parameters of `count` regressors, [count, ...] each: as in MLP."""
        variables = self.model.trainable_variables
        return [
            tf.zeros([count, *v.shape])
            if v.name == "bias"
            else tf.random.stateless_truncated_normal([count, *v.shape], s, stddev=KERNEL_STDDEV, alg="philox")
            for v, s in zip(variables, split(seed, len(variables)), strict=True)
        ]


def _joined(parts, count):
    """The first `count` regressors of several groups as one Trained."""
    params = [tf.concat(tensors, axis=0)[:count] for tensors in zip(*(part.params for part in parts), strict=True)]
    errors, steps = (tf.concat([getattr(part, name) for part in parts], 0)[:count] for name in ("errors", "steps"))
    return Trained(params, errors, steps)
