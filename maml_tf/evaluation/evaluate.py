"""The evaluation of a meta-trained learner on held-out tasks, as the user calls it."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.evaluation.intervals import half_width_95, wilson_interval_95
from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.meta.adapted_model import AdaptsToTasks
from maml_tf.meta.arguments import number, stateless_seed, theta, whole_number
from maml_tf.meta.entrance import check_tasks
from maml_tf.tasks.base import TaskDistribution
from maml_tf.tasks.random import TEST_TASKS


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of held-out tasks after 0, 1, ... gradient steps, on both sets of each task.

    Attributes:
        support: [tasks, steps + 1], the scores on the *support* sets, which the tasks are adapted to.
        query: [tasks, steps + 1], the scores on the *query* sets, which say how well the adapted models generalise.
        are_accuracies: whether the scores are accuracies, whose intervals are printed in Wilson's form too.
    """

    support: np.ndarray
    query: np.ndarray
    are_accuracies: bool = False

    @property
    def scores(self) -> np.ndarray:
        """[tasks, steps + 1], as the paper reports them: column 0 is the score on the support set before any step,
        column i the score on the query set after i steps (PROTOCOL 1.4)."""
        return np.concatenate([self.support[:, :1], self.query[:, 1:]], axis=1)

    @property
    def support_before_adaptation(self) -> np.ndarray:
        """[tasks]: the scores on the support sets before any step."""
        return self.support[:, 0]

    @property
    def query_after_steps(self) -> np.ndarray:
        """[tasks, steps]: the scores on the query sets after 1, 2, ... steps."""
        return self.query[:, 1:]

    @property
    def support_mean(self) -> np.ndarray:
        """[steps + 1]: the mean over tasks on the support sets."""
        return self.support.mean(axis=0, dtype=np.float64)

    @property
    def query_mean(self) -> np.ndarray:
        """[steps + 1]: the mean over tasks on the query sets."""
        return self.query.mean(axis=0, dtype=np.float64)

    @property
    def support_ci95(self) -> np.ndarray:
        """[steps + 1]: half the width of the 95 % interval of each `support_mean`, over tasks."""
        return half_width_95(self.support)

    @property
    def query_ci95(self) -> np.ndarray:
        """[steps + 1]: half the width of the 95 % interval of each `query_mean`, over tasks."""
        return half_width_95(self.query)

    @property
    def mean(self) -> np.ndarray:
        """[steps + 1]: the mean over tasks of each column of `scores`."""
        return self.scores.mean(axis=0, dtype=np.float64)

    @property
    def ci95(self) -> np.ndarray:
        """[steps + 1]: half the width of the 95 % interval of each `mean`, over tasks."""
        return half_width_95(self.scores)

    @property
    def support_wilson95(self) -> np.ndarray:
        """[2, steps + 1]: the low and the high ends of Wilson's 95 % interval of each `support_mean`; accuracies only.

        The form mean +- ci95 is too short for accuracies near 0 and 1. See
        `maml_tf.evaluation.intervals.wilson_interval_95`.
        """
        return np.stack(wilson_interval_95(self.support_mean, self.support_ci95, len(self.support)))

    @property
    def query_wilson95(self) -> np.ndarray:
        """[2, steps + 1]: as `support_wilson95`, of each `query_mean`."""
        return np.stack(wilson_interval_95(self.query_mean, self.query_ci95, len(self.query)))

    def __str__(self) -> str:
        wilson = self.are_accuracies and all(bool(np.all((x >= 0) & (x <= 1))) for x in (self.support, self.query))
        lines = [f"{len(self.query)} tasks, mean and 95 % interval" + (" (Wilson's in brackets)" if wilson else "")]
        columns = [
            _column("support set", self.support_mean, self.support_ci95, self.support_wilson95 if wilson else None),
            _column("query set", self.query_mean, self.query_ci95, self.query_wilson95 if wilson else None),
        ]
        names = ["gradient steps", *map(str, range(self.query.shape[1]))]
        width = max(16, *map(len, columns[0]))
        lines += [f"{name:<14}  {left:<{width}}  {right}" for name, left, right in zip(names, *columns, strict=True)]
        return "\n".join(lines)


def _column(name: str, means: np.ndarray, half_widths: np.ndarray, wilson: np.ndarray | None) -> list[str]:
    shown = [f"{mean:.4g} ± {half:.2g}" for mean, half in zip(means, half_widths, strict=True)]
    if wilson is not None:
        shown = [f"{text} ({low:.4f} to {high:.4f})" for text, low, high in zip(shown, *wilson, strict=True)]
    return [name, *shown]


def evaluate(
    learner: AdaptsToTasks,
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
        learner: a MAML around the model, or another learner that adapts to tasks.
        tasks: where the held-out tasks come from.
        params: theta, such as `checkpoint.params`; by default the model's own weights.
        num_tasks: number of tasks T.
        num_steps: gradient steps; as in training by default.
        metric: (labels, predictions) -> one value for each task, such as `maml_tf.losses.accuracy`, or the name of one:
            everything that `TaskLoss` takes. The learner's loss by default.
        step_size: alpha; as in training by default.
        seed: stateless seed of the tasks, two integers. By default the one that all test tasks of this project come
            from. The same seed, `num_tasks` and `eval_batch_size` give every learner the same tasks.
        eval_batch_size: tasks drawn and adapted at a time.

    Returns:
        Scores: `support` and `query` [T, steps + 1], with their means and intervals. Accuracies have Wilson's interval
            too; a metric is one where its name ends in "accuracy".

    Raises:
        UsageError: an argument is not allowed, or the tasks, the metric or the parameters do not fit the learner.
        TypeError: the learner does not adapt, as the baselines: evaluate a MAML around the same model instead.
    """
    if not isinstance(learner, AdaptsToTasks):
        raise TypeError(
            f"evaluate adapts, which {type(learner).__name__} does not: evaluate a MAML around the same model"
        )
    num_tasks, eval_batch_size = whole_number("num_tasks", num_tasks), whole_number("eval_batch_size", eval_batch_size)
    num_steps = learner.num_steps if num_steps is None else whole_number("num_steps", num_steps, least=0)
    seed = stateless_seed("seed", seed)
    if step_size is not None:
        number("step_size", step_size)
    given = theta(params, learner)
    for name, values in zip(learner.param_names, given, strict=True):
        if not np.isfinite(values).all():
            raise UsageError(f"params: {name} has values that are not finite")
    learner = check_tasks(learner, tasks)
    evaluation = Evaluation(
        learner,
        tasks,
        learner.loss if metric is None else metric,
        num_steps=num_steps,
        eval_batch_size=min(eval_batch_size, num_tasks),
        both_sets=True,
    )
    scores = evaluation(given, seed=seed, num_tasks=num_tasks, step_size=step_size)
    if diverged := np.count_nonzero(~np.isfinite(scores).all(axis=(1, 2))):
        warnings.warn(
            f"{diverged} of {num_tasks} tasks have a score that is not finite, so means are not: try a smaller "
            "step_size, and check the data for values that are not finite",
            stacklevel=2,
        )
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "")
    return Scores(scores[:, 0], scores[:, 1], are_accuracies=name.endswith("accuracy"))
