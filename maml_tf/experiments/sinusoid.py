"""The arms of the sinusoid regression: MAML, pretrained on all tasks, oracle (section 5.1)."""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.experiments.base import CompiledExperiment
from maml_tf.experiments.choices import maml_of
from maml_tf.experiments.sinusoid_spec import SinusoidSections, SinusoidSpec
from maml_tf.meta.adapted_model import AdaptsToTasks
from maml_tf.meta.losses import mean_squared_error
from maml_tf.tasks import random
from maml_tf.tasks.base import TaskDistribution
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.checkpoint import Checkpoint, RunDirectory

# The check of the task distribution against its closed form needs many functions: 600 leave it uncertain by 8 %.
CHECK_BLOCKS = 100
# Query points in the half of the range that holds no support point.
HALF_QUERIES = 50
# A task whose error exceeds this after adaptation has diverged: the largest of a sine of amplitude 5 is about 25.
DIVERGED = 100.0


class SinusoidExperiment(CompiledExperiment):
    """One arm, for one seed (see `Experiment`).

    The model of the last iteration is tested: the authors' code validates no sinusoid model (PROTOCOL 5, row 15).

    Attributes:
        adapting: the learner that adapts the model at test, which all arms have.
    """

    spec: SinusoidSpec
    diverged_above = DIVERGED

    def __init__(self, spec: SinusoidSpec, seed: int, data_folder: str | os.PathLike | None = None):
        super().__init__(spec, seed, data_folder)
        self.adapting = self.build_learner(spec)
        self.model = self.adapting.model
        self.learner = self.adapting if spec.inner.train_steps else JointTraining(self.model, mean_squared_error)
        self.tasks = SinusoidTasks(spec.tasks.shots, spec.tasks.queries, spec.tasks.reveal_task)

    @staticmethod
    def build_learner(spec: SinusoidSpec) -> AdaptsToTasks:
        """See `Experiment.build_learner`. A step size that is tuned for the test is 0 here."""
        step_size = 0.0 if spec.inner.step_size == "tuned" else spec.inner.step_size
        model = spec.model.build((3 if spec.tasks.reveal_task else 1,), 1)
        return maml_of(spec, model, mean_squared_error, step_size)

    def evaluate(self, checkpoint: Checkpoint, run_dir: RunDirectory | None = None):
        """Fine-tunes the trained parameters on the test functions, for every K.

        Returns:
            (scores, settings): mean squared errors [tasks, steps + 1] by curve name, and what was chosen on the way.
        """
        params = checkpoint.params
        scores, settings = fine_tune(self.spec, self.adapting, params)
        for name, errors in scores.items():
            settings[f"diverged_{name}"] = int((~(errors[:, -1] < DIVERGED)).sum())
        K, num_tasks = self.spec.tasks.shots, self.spec.evaluation.tasks
        halves = SinusoidTasks(K, HALF_QUERIES, self.spec.tasks.reveal_task, halves=True)
        scores[f"{K}_shot_other_half"] = error_per_step(self.spec, self.adapting, halves, self.spec.evaluation.steps)(
            params,
            seed=random.TEST_TASKS,
            num_tasks=num_tasks,
            step_size=settings.get(f"step_size_{K}_shot"),
        )
        zeros = [tf.zeros_like(p) for p in params]
        scores["zero_predictor"] = error_per_step(self.spec, self.adapting, self.tasks, 0)(
            zeros, seed=random.TEST_TASKS, num_tasks=CHECK_BLOCKS * num_tasks
        )
        return scores, settings


def error_per_step(
    spec: SinusoidSections, learner: AdaptsToTasks, tasks: TaskDistribution, num_steps: int
) -> Evaluation:
    """An Evaluation of mean squared errors."""
    block = spec.block(spec.evaluation.tasks)
    return Evaluation(learner, tasks, mean_squared_error, num_steps=num_steps, eval_batch_size=block)


def fine_tune(
    spec: SinusoidSections, learner: AdaptsToTasks, params: Sequence[tf.Tensor]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Tests `params` on the fixed functions: K support points, K query points, 0 to `evaluation.steps` steps.

    A tuned step size is chosen for each K by the mean squared error after the last step, on functions apart from the
    test ones. The curve with the step size that is best after one step is reported next to it (PROTOCOL 2.1).

    Args:
        spec: of a sinusoid experiment.
        learner: adapts the model.
        params: theta to start from.

    Returns:
        (scores, settings): errors [tasks, steps + 1] by curve name ("5_shot", ...), and the chosen step sizes.
    """
    scores, settings = {}, {}
    grid = getattr(spec.inner, "step_grid", ())  # of a step size that is tuned for the test
    for shots in spec.evaluation.shots:
        curve = f"{shots}_shot"
        tasks = SinusoidTasks(shots, shots, spec.tasks.reveal_task)  # K support and K query points
        errors_of = error_per_step(spec, learner, tasks, spec.evaluation.steps)

        def test(step_size=None, seed=random.TEST_TASKS, errors_of=errors_of):
            return errors_of(params, seed=seed, num_tasks=spec.evaluation.tasks, step_size=step_size)

        if spec.inner.step_size != "tuned":
            scores[curve] = test()
            continue
        tuning = np.stack([test(step_size, random.TUNING_TASKS).mean(axis=0) for step_size in grid])
        tuning = np.where(np.isfinite(tuning), tuning, np.inf)  # too large a step diverges
        chosen = {curve: grid[tuning[:, -1].argmin()], f"{curve}_tuned_for_1_step": grid[tuning[:, 1].argmin()]}
        for name, step_size in chosen.items():
            scores[name] = test(step_size)
            settings[f"step_size_{name}"] = step_size
    return scores, settings
