"""What every experiment has: a model, a learner and data for one seed, trained and then evaluated."""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import ExperimentSpec
from maml_tf.tasks.base import TaskDistribution
from maml_tf.tasks.image_set import ImageSet
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from maml_tf.training.schedules import rate_of
from maml_tf.training.train import train
from maml_tf.training.workers import Workers


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How a training is run, which does not change what it computes.

    Attributes:
        resume: continue an unfinished training.
        tensorboard: write TensorBoard scalars into the run directory.
        workers: spread the tasks of an iteration over them; the numbers are those without workers up to rounding.
    """

    resume: bool = False
    tensorboard: bool = False
    workers: Workers | None = None


class Experiment(abc.ABC):
    """One cell of a table or one arm of a figure, for one seed.

    Args:
        spec: an ExperimentSpec of a class that names this Experiment as its implementation.
        seed: of the initial weights and the training tasks.
        data_folder: the prepared data sets (`make data`).

    Attributes:
        spec, seed: the arguments.
        model: the Keras model.
        learner: what is trained; its `initial_params()` are theta at iteration 0.
        data: where the data comes from, for the result file.
        classes: the splits {"train", "validation", "test": ImageSet} that tasks are cut from; empty without a data set.
        diverged_above: a score above it has diverged, and the result file has statistics that such tasks do not decide.
            None: no score can diverge.
        kept_scores: the curves whose score of each task the result file keeps.
        seconds_elsewhere: wall time that other processes spent on the latest evaluation.
        spreads: whether a training can be spread over workers.

    Raises:
        DataMissingError: the data set is missing in the folder, or damaged.
    """

    spec: Any  # an ExperimentSpec; a subclass says of which class
    model: keras.Model
    learner: Any
    data: Mapping[str, Any] = {}
    classes: Mapping[str, ImageSet] = {}
    diverged_above: float | None = None
    kept_scores: tuple[str, ...] = ()
    seconds_elsewhere: float = 0.0
    spreads: bool = False

    def __init__(self, spec: ExperimentSpec, seed: int, data_folder: str | os.PathLike | None = None):
        self.spec = spec
        self.seed = seed
        keras.utils.set_random_seed(seed)

    @staticmethod
    def build_learner(spec: Any) -> Any:
        """The learner that adapts the trained model to a task, with fresh weights; no data set is needed.

        Raises:
            UsageError: the method has none.
        """
        raise UsageError(f"{spec.name}: the method {spec.method!r} has no learner that adapts to a task")

    @staticmethod
    def data_hashes(spec: Any, data_folder: str | os.PathLike | None) -> dict[str, str]:
        """The SHA-256 of every array that the tasks are cut from, by name. It belongs to a training's identity.

        Raises:
            DataMissingError: the data set is missing in the folder, or damaged.
        """
        return {}

    @property
    def label(self) -> str:
        """The name of the training in progress lines and messages."""
        return f"{self.spec.name} ({self.spec.profile}, seed {self.seed})"

    @abc.abstractmethod
    def train(self, run_dir: RunDirectory, options: TrainingOptions) -> Checkpoint:
        """Trains, or returns the finished training that the run directory holds.

        Raises:
            UsageError: the run directory holds an unfinished training and `options.resume` is false.
            FloatingPointError: the training diverged.
        """

    @abc.abstractmethod
    def evaluate(
        self, checkpoint: Checkpoint, run_dir: RunDirectory | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, int | float | str]]:
        """Tests what was trained.

        Args:
            checkpoint: what the training reached.
            run_dir: of the training. A long test keeps what it has computed there; without it nothing is kept.

        Returns:
            (scores, settings): scores [tasks, steps + 1] by curve name, and what was chosen on the way.
        """


class CompiledExperiment(Experiment):
    """An experiment that trains with the compiled loop, so that its training can be exported too.

    Attributes:
        tasks: the TaskDistribution to train on.
        validate: theta -> score, higher is better; None where the protocol has no validation.
    """

    spreads = True
    tasks: TaskDistribution
    validate: Callable[[Sequence[tf.Tensor]], float] | None = None

    def train(self, run_dir: RunDirectory, options: TrainingOptions) -> Checkpoint:
        """See `Experiment.train`; the section `meta` of the spec says how."""
        meta, validation = self.spec.meta, self.spec.validation
        return train(
            self.learner,
            self.tasks,
            iterations=meta.iterations,
            batch_size=meta.batch_size,
            learning_rate=rate_of(meta),
            gradient_clip=meta.gradient_clip,
            seed=self.seed,
            validate=self.validate,
            validate_every=validation.every if validation else None,
            run_dir=run_dir,
            resume=options.resume,
            tensorboard=options.tensorboard,
            workers=options.workers,
            label=self.label,
        )
