"""The cells of Tables 1 and 3: N-way K-shot classification of images (section 5.2 and Appendix C.2)."""

import keras
import numpy as np

from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.meta.losses import accuracy, cross_entropy_over_shots
from maml_tf.meta.maml import MAML, all_but_norm_offsets
from maml_tf.models.context_vector import WithContext, only_context
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks import random
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.mini_imagenet import load_mini_imagenet
from maml_tf.tasks.omniglot import load_omniglot, split_omniglot


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
        classes = load_classes(tasks, data_folder)
        self.data = classes["train"].source
        keras.utils.set_random_seed(seed)
        self.model = _build_model(spec, classes["train"].images.shape[2:])
        self.learner = MAML(
            self.model,
            cross_entropy_over_shots(tasks.shots),
            spec.inner.step_size,
            spec.inner.train_steps,
            first_order=spec.inner.first_order,
            adaptable=only_context if spec.method == "context_vector" else all_but_norm_offsets,
            task_chunk=spec.meta.tasks_at_once,
            gradient_checkpointing=spec.inner.recompute,
        )
        self.initial_params = self.learner.initial_params()

        self.classes = classes
        self.distribution = self.episodes("train", tasks.train_queries)
        self.accuracy = self._accuracy_per_step(self.episodes("test", tasks.test_queries), spec.evaluation)
        self.validate = self._validation(self.episodes("validation", tasks.train_queries)) if spec.validation else None

    def episodes(self, split, queries):
        """The tasks of a split ("train", "validation" or "test"), with that many query images per class."""
        tasks = self.spec.tasks
        return Episodes(self.classes[split].images, tasks.ways, tasks.shots, queries, tasks.rotations)

    def _accuracy_per_step(self, episodes, section, last_step_only=False):
        return Evaluation(
            self.learner,
            episodes,
            accuracy,
            num_steps=section.steps,
            eval_batch_size=self.spec.block(section.tasks),
            last_step_only=last_step_only,
        )

    def _validation(self, episodes):
        validation = self.spec.validation
        accuracies_of = self._accuracy_per_step(episodes, validation, last_step_only=True)
        return lambda p: 100 * accuracies_of(p, seed=random.VALIDATION_TASKS, num_tasks=validation.tasks).mean()

    def test_scores(self, params):
        """Accuracies in percent [tasks, steps + 1] of the held-out test tasks."""
        return 100 * self.accuracy(params, seed=random.TEST_TASKS, num_tasks=self.spec.evaluation.tasks)

    def test(self, saved):
        """Tests the model that was best in validation, and the last one.

        Returns:
            (scores, settings): accuracies in percent [tasks, steps + 1] by curve name, and the chosen iteration.
        """
        shots = f"{self.spec.tasks.shots}_shot"
        scores = {shots: self.test_scores(saved.chosen_params)}
        if saved.best_params is None:  # nothing was validated: the last model is the chosen one
            return scores, {}
        last_is_best = saved.best_iteration == saved.iteration  # a test on mini-ImageNet takes minutes: not twice
        scores[f"{shots}_last_model"] = scores[shots] if last_is_best else self.test_scores(saved.state.params)
        return scores, {"best_iteration": saved.best_iteration, "best_validation_accuracy": saved.best_score}


def load_classes(tasks, data_folder):
    """{"train", "validation", "test": ImageSet} of an ImageTaskSpec."""
    if tasks.dataset == "mini_imagenet":
        return load_mini_imagenet(data_folder)
    return split_omniglot(load_omniglot(data_folder), tasks.split_seed)


def dtype_policy(network):
    """Keras' name for the precision of a ModelSpec's products; `run` sets tensor_float_32, which is no dtype."""
    return "mixed_bfloat16" if network.precision == "bfloat16" else "float32"


def _build_model(spec, image_shape):
    ways, network, context = spec.tasks.ways, spec.model, spec.model.context_size
    dtype = dtype_policy(network)
    if network.network == "mlp":
        features = int(np.prod(image_shape))
        model = MLP(features + context, network.hidden, ways, network.batch_norm, dtype)
        return WithContext(model, (features,), context) if context else model
    conv = {"omniglot_conv": OmniglotConv, "mini_imagenet_conv": MiniImagenetConv}[network.network]
    height, width, channels = image_shape
    model = conv((height, width, channels + context), ways, network.filters, dtype)
    return WithContext(model, image_shape, context) if context else model
