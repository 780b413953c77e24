"""The evaluation of a meta-trained learner on held-out tasks, as the user calls it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.evaluation.intervals import half_width_95
from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.meta.maml import MAML
from maml_tf.tasks.base import TaskDistribution
from maml_tf.tasks.random import TEST_TASKS


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of held-out tasks after 0, 1, ... gradient steps.

    Attributes:
        scores: float [tasks, steps + 1]. Column 0 is the score on the *support* set before any step, column i the
            score on the *query* set after i steps (PROTOCOL 1.4).
    """

    scores: np.ndarray

    @property
    def support_before_adaptation(self) -> np.ndarray:
        """[tasks]: column 0, the scores on the support sets before any step."""
        return self.scores[:, 0]

    @property
    def query_after_steps(self) -> np.ndarray:
        """[tasks, steps]: the scores on the query sets after 1, 2, ... steps."""
        return self.scores[:, 1:]

    @property
    def mean(self) -> np.ndarray:
        """[steps + 1]: the mean over tasks of each column."""
        return self.scores.mean(axis=0, dtype=np.float64)

    @property
    def ci95(self) -> np.ndarray:
        """[steps + 1]: half the width of the 95 % interval of each mean, over tasks."""
        return half_width_95(self.scores)

    def __str__(self) -> str:
        rows = ["support set, before any step", *(f"query set, step {i}" for i in range(1, self.scores.shape[1]))]
        lines = [f"{row:<28}  {m:.4g} +- {c:.2g}" for row, m, c in zip(rows, self.mean, self.ci95, strict=True)]
        return "\n".join([f"{len(self.scores)} tasks, mean and 95 % interval", *lines])


def evaluate(
    learner: MAML,
    tasks: TaskDistribution,
    *,
    params: Sequence[tf.Tensor] | None = None,
    num_tasks: int = 600,
    num_steps: int | None = None,
    metric: Any = None,
    step_size: float | None = None,
    seed: tuple[int, int] = TEST_TASKS,
    eval_batch_size: int = 50,
) -> Scores:
    """Adapts to held-out tasks and scores each of them after every gradient step.

    Args:
        learner: a MAML around the model.
        tasks: where the held-out tasks come from.
        params: theta, such as `checkpoint.params`; by default the model's own weights.
        num_tasks: number of tasks T.
        num_steps: gradient steps; as in training by default.
        metric: (labels, predictions) -> one value for each task, such as `maml_tf.losses.accuracy`; the learner's loss
            by default.
        step_size: alpha; as in training by default.
        seed: stateless seed of the tasks, two integers. By default the one that all test tasks of this project come
            from. The same seed, `num_tasks` and `eval_batch_size` give every learner the same tasks.
        eval_batch_size: tasks drawn and adapted at a time.

    Returns:
        Scores, with `scores` [T, steps + 1], `mean` and `ci95`.

    Raises:
        TypeError: the learner does not adapt, as the baselines: evaluate a MAML around the same model instead.
        ValueError: there are no tasks or a negative number of steps.
    """
    if not isinstance(learner, MAML):
        raise TypeError(
            f"evaluate adapts, which {type(learner).__name__} does not: evaluate a MAML around the same model"
        )
    num_steps = learner.num_steps if num_steps is None else num_steps
    if num_tasks < 1 or num_steps < 0 or eval_batch_size < 1:
        raise ValueError(
            f"num_tasks={num_tasks}, num_steps={num_steps}, eval_batch_size={eval_batch_size}: at least 1, 0 and 1 are "
            "allowed"
        )
    evaluation = Evaluation(
        learner, tasks, metric or learner.loss, num_steps=num_steps, eval_batch_size=min(eval_batch_size, num_tasks)
    )
    params = learner.initial_params() if params is None else params
    return Scores(evaluation(params, seed=seed, num_tasks=num_tasks, step_size=step_size))
