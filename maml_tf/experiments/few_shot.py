"""The cells of Tables 1 and 3: N-way K-shot classification of images (section 5.2 and Appendix C.2)."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.experiments.base import CompiledExperiment
from maml_tf.experiments.choices import maml_of
from maml_tf.experiments.few_shot_spec import FewShotSpec
from maml_tf.experiments.spec import EvaluationSpec, ValidationSpec
from maml_tf.meta.adapted_model import AdaptsToTasks
from maml_tf.meta.losses import accuracy, cross_entropy_over_shots
from maml_tf.tasks import random
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.image_set import hashes_of
from maml_tf.training.checkpoint import Checkpoint, RunDirectory


class FewShotExperiment(CompiledExperiment):
    """One cell, for one seed (see `Experiment`).

    Attributes:
        accuracy: the Evaluation on the test tasks, in 0..1.
    """

    spec: FewShotSpec

    def __init__(self, spec: FewShotSpec, seed: int, data_folder: str | os.PathLike | None = None):
        super().__init__(spec, seed, data_folder)
        tasks = spec.tasks
        self.classes = tasks.load(data_folder)
        self.data = self.classes["train"].source
        self.learner = self.build_learner(spec)
        self.model = self.learner.model
        self.tasks = self.episodes("train", tasks.train_queries)
        self.accuracy = self._accuracy_per_step(self.episodes("test", tasks.test_queries), spec.evaluation)
        if spec.validation:
            self.validate = self._validation(self.episodes("validation", tasks.train_queries), spec.validation)

    @staticmethod
    def build_learner(spec: FewShotSpec) -> AdaptsToTasks:
        """See `Experiment.build_learner`."""
        return maml_of(
            spec,
            spec.model.build(spec.tasks.image_shape, spec.tasks.ways),
            cross_entropy_over_shots(spec.tasks.shots),
            spec.inner.step_size,
            task_chunk=spec.meta.task_chunk,
            gradient_checkpointing=spec.inner.gradient_checkpointing,
        )

    @staticmethod
    def data_hashes(spec: FewShotSpec, data_folder: str | os.PathLike | None) -> dict[str, str]:
        """See `Experiment.data_hashes`."""
        return hashes_of(spec.tasks.load(data_folder))

    def episodes(self, split: str, queries: int) -> Episodes:
        """The tasks of a split ("train", "validation" or "test"), with that many query images per class."""
        tasks = self.spec.tasks
        return Episodes(self.classes[split].images, tasks.ways, tasks.shots, queries, tasks.rotations, tasks.shuffle)

    def test_scores(self, params: Sequence[tf.Tensor]) -> np.ndarray:
        """Accuracies in percent [tasks, steps + 1] of the held-out test tasks."""
        return 100 * self.accuracy(params, seed=random.TEST_TASKS, num_tasks=self.spec.evaluation.tasks)

    def evaluate(self, checkpoint: Checkpoint, run_dir: RunDirectory | None = None):
        """Tests the model that was best in validation, and the last one.

        Returns:
            (scores, settings): accuracies in percent [tasks, steps + 1] by curve name, and the chosen iteration.
        """
        shots = f"{self.spec.tasks.shots}_shot"
        scores = {shots: self.test_scores(checkpoint.params)}
        if checkpoint.best_params is None:  # nothing was validated: the last model is the chosen one
            return scores, {}
        last_is_best = checkpoint.best_iteration == checkpoint.iteration  # a long test is not run twice
        scores[f"{shots}_last_model"] = scores[shots] if last_is_best else self.test_scores(checkpoint.state.params)
        return scores, {
            "best_iteration": checkpoint.best_iteration,
            "best_validation_accuracy": checkpoint.best_score,
        }

    def _accuracy_per_step(
        self, episodes: Episodes, section: EvaluationSpec | ValidationSpec, last_step_only: bool = False
    ) -> Evaluation:
        return Evaluation(
            self.learner,
            episodes,
            accuracy,
            num_steps=section.steps,
            eval_batch_size=self.spec.block(section.tasks),
            last_step_only=last_step_only,
        )

    def _validation(self, episodes: Episodes, validation: ValidationSpec) -> Callable[[Sequence[tf.Tensor]], float]:
        accuracies_of = self._accuracy_per_step(episodes, validation, last_step_only=True)
        return lambda p: 100 * accuracies_of(p, seed=random.VALIDATION_TASKS, num_tasks=validation.tasks).mean()
