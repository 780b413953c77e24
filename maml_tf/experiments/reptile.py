"""Reptile (Nichol et al., 2018) as an experiment: the tasks and tests are those of the other methods."""

from typing import Any

from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.experiments.few_shot import FewShotExperiment
from maml_tf.experiments.sinusoid import SinusoidExperiment
from maml_tf.meta.losses import accuracy, mean_cross_entropy, mean_squared_error
from maml_tf.methods.reptile import Reptile, one_at_a_time
from maml_tf.tasks import random


class ReptileFewShotExperiment(FewShotExperiment):
    """One cell, for one seed (see `Experiment`).

    The test is transductive, as that of every other method here. The curve "..._one_at_a_time" is the test that is not.
    """

    spec: Any

    @staticmethod
    def build_learner(spec: Any) -> Reptile:
        """See `Experiment.build_learner`. The loss is the mean cross-entropy, as in the authors' code."""
        return _learner(spec, spec.model.build(spec.tasks.image_shape, spec.tasks.ways), mean_cross_entropy)

    def evaluate(self, checkpoint, run_dir=None):
        """See `FewShotExperiment.evaluate`."""
        scores, settings = super().evaluate(checkpoint, run_dir)
        section = self.spec.evaluation
        one_by_one = Evaluation(
            self.learner,
            self.episodes("test", self.spec.tasks.test_queries),
            accuracy,
            num_steps=section.steps,
            eval_batch_size=self.spec.block(section.tasks),
            last_step_only=True,
            predict=one_at_a_time(self.learner),
        )
        found = 100 * one_by_one(checkpoint.params, seed=random.TEST_TASKS, num_tasks=section.tasks)
        settings["accuracy_one_at_a_time"] = float(found.mean())
        return scores, settings


class ReptileSinusoidExperiment(SinusoidExperiment):
    """The sinusoids, for one seed (see `Experiment`)."""

    spec: Any

    @staticmethod
    def build_learner(spec: Any) -> Reptile:
        """See `Experiment.build_learner`."""
        return _learner(spec, spec.model.build((1,), 1), mean_squared_error)


def _learner(spec: Any, model: Any, loss: Any) -> Reptile:
    inner = spec.inner
    options = {"mini_batch": inner.mini_batch, "optimizer": inner.optimizer}
    return Reptile(model, loss, inner.step_size, inner.train_steps, **options)
