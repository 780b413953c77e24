"""Table 1's rows "fine-tuning" and "nearest neighbour" on mini-ImageNet: one supervised network, used in two ways."""

import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.baselines.supervised import (
    LabelledImages,
    SupervisedTraining,
    fine_tuning_accuracies,
    nearest_neighbour_accuracies,
    population_statistics,
)
from maml_tf.experiments.base import CompiledExperiment
from maml_tf.experiments.few_shot_spec import SupervisedBaselineSpec
from maml_tf.experiments.resumable_test import ResumableTest, code_digest, params_digest
from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import mean_cross_entropy
from maml_tf.models.batch_norm import given_statistics
from maml_tf.runtime import available_cores
from maml_tf.tasks import random
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.image_set import hashes_of
from maml_tf.training.checkpoint import Checkpoint, RunDirectory

STATISTICS_BATCHES, STATISTICS_BATCH = 20, 128  # training images that batch norm's fixed statistics are taken from


class SupervisedExperiment(CompiledExperiment):
    """Both rows, for one seed (see `Experiment`).

    The network learns to tell the training classes apart. At test its batch norm has fixed statistics.
    """

    spec: SupervisedBaselineSpec

    def __init__(self, spec: SupervisedBaselineSpec, seed: int, data_folder: str | os.PathLike | None = None):
        super().__init__(spec, seed, data_folder)
        self.classes = spec.tasks.load(data_folder)
        self.data = self.classes["train"].source
        self.tasks = LabelledImages(self.classes["train"].images)
        self.model, self.tuned_model = (
            spec.model.build(tuple(self.tasks.image_shape), outputs)
            for outputs in (self.tasks.num_classes, spec.tasks.ways)
        )
        self.learner = SupervisedTraining(self.model, mean_cross_entropy)
        batches = [
            self.tasks.sample(tf.constant([random.TUNING_TASKS[1], index]), STATISTICS_BATCH)
            for index in range(STATISTICS_BATCHES)
        ]
        self.statistics_batches = [batch.support_x[0] for batch in batches]
        self.validation_tasks = {K: self._episodes("validation", K) for K in spec.evaluation.shots}
        self.test_tasks = {K: self._episodes("test", K) for K in spec.evaluation.shots}

        def nearest(params, statistics, *task):
            def features(x):
                with given_statistics(statistics, predict_only=True):
                    return functional_call(self.model, params, x, method="features")

            return nearest_neighbour_accuracies(features, *task)

        def tuned(params, statistics, step_size, decay, *task):
            body, loss, steps = params[:-2], mean_cross_entropy, spec.evaluation.steps
            return fine_tuning_accuracies(self.tuned_model, statistics, loss, body, task, step_size, decay, steps)

        self.nearest_neighbour, self.fine_tuning = _for_blocks(nearest, spec.block), _for_blocks(tuned, spec.block)

    @staticmethod
    def data_hashes(spec: SupervisedBaselineSpec, data_folder: str | os.PathLike | None) -> dict[str, str]:
        """See `Experiment.data_hashes`."""
        return hashes_of(spec.tasks.load(data_folder))

    def validate(self, params: Sequence[tf.Tensor]) -> float:
        """Nearest-neighbour accuracy in percent by cosine on the validation tasks, K = the first tested."""
        return self._nearest(params, self._statistics(params), "validation", self.spec.evaluation.shots[0])[:, 0].mean()

    def evaluate(self, checkpoint: Checkpoint, run_dir: RunDirectory | None = None):
        """Tests both uses of the chosen network, each with its own choices made on the validation tasks.

        Args:
            checkpoint: what the training reached.
            run_dir: of the training. Accuracies are kept in it as they are computed, so that a killed test continues,
                and several processes can share one test.

        Returns:
            (scores, settings): accuracies in percent by curve: `<K>_shot_nearest_neighbour` and
            `<K>_shot_fine_tuning` [tasks, 1] are the rows of the table, `..._cosine`, `..._euclidean` and
            `..._by_update` [tasks, steps + 1] what they were chosen from.
        """
        params, spec = checkpoint.params, self.spec
        shots, grid = spec.evaluation.shots, tuple(itertools.product(spec.inner.step_grid, spec.inner.decay_grid))
        statistics = self._statistics(params)
        test = ResumableTest(
            None if run_dir is None else run_dir.path / "test_parts",
            self._depends_on(params),
            label=f"{self.label}: testing",
            total=len(shots) * (3 + len(grid)),
        )

        def nearest(split, K):
            return lambda: self._nearest(params, statistics, split, K)

        def tuned(split, K, setting):
            step_size, decay = setting
            return lambda: self._tuned(params, statistics, step_size, decay, split, K)

        parts = {}
        for K in shots:
            parts |= {_part(split, K): nearest(split, K) for split in ("validation", "test")}
            parts |= {_part("validation", K, setting): tuned("validation", K, setting) for setting in grid}
        parts = test.compute(parts)

        chosen = {}
        for K in shots:
            by_setting = {setting: parts[_part("validation", K, setting)].mean(axis=0) for setting in grid}
            setting = max(grid, key=lambda setting: by_setting[setting].max())
            chosen[K] = (setting, int(by_setting[setting].argmax()))
        parts |= test.compute({_part("test", K, chosen[K][0]): tuned("test", K, chosen[K][0]) for K in shots})

        scores = {}
        settings = {"best_iteration": checkpoint.best_iteration, "best_validation_accuracy": checkpoint.best_score}
        for K in shots:
            tested = parts[_part("test", K)]
            best = int(parts[_part("validation", K)].mean(axis=0).argmax())
            scores[f"{K}_shot_nearest_neighbour"] = tested[:, best : best + 1]
            scores[f"{K}_shot_cosine"], scores[f"{K}_shot_euclidean"] = tested[:, :1], tested[:, 1:]
            setting, updates = chosen[K]
            tested = parts[_part("test", K, setting)]
            scores[f"{K}_shot_fine_tuning"] = tested[:, updates : updates + 1]
            scores[f"{K}_shot_fine_tuning_by_update"] = tested
            settings |= {
                f"{K}_shot_distance": ("cosine", "euclidean")[best],
                f"{K}_shot_step_size": setting[0],
                f"{K}_shot_decay": setting[1],
                f"{K}_shot_updates": updates,
            }
        self.seconds_elsewhere = test.seconds_elsewhere
        return scores, settings

    def _depends_on(self, params: Sequence[tf.Tensor]) -> dict[str, Any]:
        """What the accuracies depend on apart from split, K and setting."""
        spec = self.spec
        return {
            "weights": params_digest(params),
            "data": {split: classes.source for split, classes in self.classes.items()},
            "sections": [dataclasses.asdict(s) for s in (spec.tasks, spec.model, spec.validation, spec.evaluation)],
            "block": spec.block(spec.evaluation.tasks),
            "code": code_digest("baselines", "meta", "models", "ops", "tasks", "experiments/supervised.py"),
            "tensorflow": tf.__version__,
        }

    def _episodes(self, split, shots):
        tasks = self.spec.tasks
        images = self.classes[split].images
        return Episodes(images, tasks.ways, shots, tasks.test_queries, tasks.rotations, tasks.shuffle)

    def _statistics(self, params):
        return population_statistics(self.model, params, self.statistics_batches)

    def _nearest(self, params, statistics, split, shots):
        return 100 * self.nearest_neighbour(*self._tasks(split, shots), params, statistics)

    def _tuned(self, params, statistics, step_size, decay, split, shots):
        setting = (tf.constant(step_size), tf.constant(decay))
        return 100 * self.fine_tuning(*self._tasks(split, shots), params, statistics, *setting)

    def _tasks(self, split, shots):
        """(episodes, seed, number) of the fixed tasks of a split."""
        if split == "validation":
            return self.validation_tasks[shots], random.VALIDATION_TASKS, self.spec.validation.tasks
        return self.test_tasks[shots], random.TEST_TASKS, self.spec.evaluation.tasks


def _part(split: str, shots: int, setting: tuple[float, float] | None = None) -> str:
    """The name of a part of the test: nearest neighbour, or fine-tuning with a setting (step size, decay)."""
    use = "nearest_neighbour" if setting is None else f"fine_tuning_step_{setting[0]}_decay_{setting[1]}"
    return f"{split}_{shots}_shot_{use}"


def _for_blocks(function: Callable[..., tf.Tensor], block_of: Callable[[int], int]) -> Callable[..., np.ndarray]:
    """`(episodes, seed, num_tasks, *arguments) -> function(*arguments, *task)` of every task, [num_tasks, ...].

    Tasks are drawn in blocks as in `maml_tf.evaluation`, so the same seeds give the same tasks.
    """

    @tf.function(autograph=False)
    def of_block(batch, *arguments):
        return tf.map_fn(
            lambda task: function(*arguments, *task),
            tuple(batch),
            fn_output_signature=tf.float32,
            parallel_iterations=available_cores(),
        )

    def of_all(episodes, seed, num_tasks, *arguments):
        blocks = []
        block = block_of(num_tasks)
        for index in range(num_tasks // block):
            batch = episodes.sample(tf.random.fold_in(tf.constant(seed), index, alg="philox"), block)
            blocks.append(of_block(batch, *arguments).numpy())
        return np.concatenate(blocks)

    return of_all
