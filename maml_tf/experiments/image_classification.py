"""The cells of Table 1: N-way K-shot classification of images (section 5.2)."""

import keras
import numpy as np

from maml_tf.evaluation.per_step import Evaluation
from maml_tf.meta.losses import accuracy, cross_entropy_over_shots
from maml_tf.meta.maml import MAML
from maml_tf.meta.placement import placement_for
from maml_tf.models.conv import OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks import seeds
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.omniglot import load_omniglot, split_omniglot

# Tasks drawn and adapted at a time in validation and test: enough to keep the cores busy, few enough for the memory.
BLOCK = 20


class ImageClassificationExperiment:
    """Model, learner, tasks, validation and test of one cell, for one seed.

    Args:
        spec: an ExperimentSpec of the experiment "image_classification".
        seed: of the initial weights and the training tasks.
        data_folder: the prepared data sets (`make data`).

    Raises:
        DataMissingError: the data set is missing there or damaged.
    """

    def __init__(self, spec, seed, data_folder):
        self.spec = spec
        tasks = spec.tasks
        image_set = load_omniglot(data_folder)
        self.data = image_set.source
        classes = split_omniglot(image_set, tasks.split_seed)
        keras.utils.set_random_seed(seed)
        self.model = _build_model(spec, image_set.images.shape[2:])
        self.placement = placement_for(self.model)
        self.learner = MAML(
            self.model,
            cross_entropy_over_shots(tasks.shots),
            spec.inner.step_size,
            spec.inner.train_steps,
            first_order=spec.inner.first_order,
            together=self.placement.together,
        )
        self.initial_params = self.learner.parameters()

        def episodes(split, queries):
            return Episodes(classes[split].images, tasks.ways, tasks.shots, queries, tasks.rotations)

        self.distribution = episodes("train", tasks.train_queries)
        self.accuracy = self._accuracy_per_step(episodes("test", tasks.test_queries), spec.evaluation.steps)
        self.validate = (
            None if spec.validation is None else self._validation(episodes("validation", tasks.train_queries))
        )

    def _accuracy_per_step(self, episodes, num_steps):
        return Evaluation(
            self.learner,
            episodes,
            accuracy,
            num_steps=num_steps,
            block=BLOCK,
            jit_compile=self.placement.jit_compile,
        )

    def _validation(self, episodes):
        accuracies_of, num_tasks = (
            self._accuracy_per_step(episodes, self.spec.validation.steps),
            self.spec.validation.tasks,
        )
        return lambda p: 100 * accuracies_of(p, seed=seeds.VALIDATION_TASKS, num_tasks=num_tasks)[:, -1].mean()

    def test(self, saved):
        """Tests the model that was best in validation, and the last one.

        Returns:
            (scores, settings): accuracies in percent [tasks, steps + 1] by curve name, and the chosen iteration.
        """
        shots, num_tasks = f"{self.spec.tasks.shots}_shot", self.spec.evaluation.tasks
        scores = {
            name: 100 * self.accuracy(params, seed=seeds.TEST_TASKS, num_tasks=num_tasks)
            for name, params in ((shots, saved.chosen_params), (f"{shots}_last_model", saved.state.params))
        }
        return scores, {"best_iteration": saved.best_iteration, "best_validation_accuracy": saved.best_score}


def _build_model(spec, image_shape):
    if spec.model.network == "omniglot_conv":
        return OmniglotConv(image_shape, spec.tasks.ways, spec.model.filters)
    return MLP(int(np.prod(image_shape)), spec.model.hidden, spec.tasks.ways, spec.model.batch_norm)
