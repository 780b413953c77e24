"""Scores of held-out tasks after each gradient step."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.meta.adapted_model import AdaptsToTasks
from maml_tf.meta.compiled import compiled_with_tasks
from maml_tf.meta.task_loss import TaskLoss
from maml_tf.tasks.base import TaskDistribution


class Evaluation:
    """Adapts to fixed held-out tasks and scores every task after 0, 1, ... gradient steps.

    The tasks are drawn in batches from a recorded seed, the same for every learner that is given the same distribution.
    The work is compiled once: one object serves many parameters, step sizes and sets of tasks.

    Column 0 is the score on the *support* set before any step. The other columns are scores on the query set after each
    step. The authors' code reports its results in this form (PROTOCOL 1.4).

    Args:
        learner: a MAML, or another that adapts. Its model, loss, adaptable weights and task execution are used, not its
            number of steps.
        distribution: where the tasks come from.
        score: (labels, predictions) -> one value for each task, as `TaskLoss` takes it.
        num_steps: number of gradient steps.
        eval_batch_size: tasks drawn and adapted at a time. It decides which tasks a seed gives: batch b is drawn from
            (seed, b).
        last_step_only: score the query set after the last step alone; the result has that one column.
        both_sets: score the support and the query set after every step; the result is [num_tasks, 2, num_steps + 1].
        predict: (params, support_x, query_x) -> predictions for the query set. By default the model is called on the
            query set alone; the batch norm ablations do otherwise.
    """

    def __init__(
        self,
        learner: AdaptsToTasks,
        distribution: TaskDistribution,
        score: Any,
        *,
        num_steps: int,
        eval_batch_size: int,
        last_step_only: bool = False,
        both_sets: bool = False,
        predict: Callable[[Sequence[tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    ):
        predict = predict or (lambda params, _, query_x: learner.forward(params, query_x))
        self.eval_batch_size = eval_batch_size
        self.default_step_size = learner.step_size
        task_score = TaskLoss(score, "metric")
        task_axis = learner.task_execution.vectorized

        def scores_of(pairs, params):
            scores = [tf.cast(task_score(*pair, task_axis=task_axis), params[0].dtype) for pair in pairs]
            return tf.stack(scores, axis=-1)

        def score_batch(batch, params, step_size):
            def score_tasks(params, support_x, support_y, query_x, query_y):
                after = learner.adapted_params(params, support_x, support_y, num_steps, step_size)
                if both_sets:
                    support = [(support_y, learner.forward(p, support_x)) for p in after]
                    query = [(query_y, predict(p, support_x, query_x)) for p in after]
                    return tf.stack([scores_of(support, params), scores_of(query, params)], axis=-2)
                scored = after[-1:] if last_step_only else after[1:]
                pairs = [(query_y, predict(p, support_x, query_x)) for p in scored]
                if not last_step_only:
                    pairs.insert(0, (support_y, learner.forward(params, support_x)))
                return scores_of(pairs, params)

            return learner.task_execution.map(score_tasks, params, batch, unroll=False)

        self.score_batch = compiled_with_tasks(
            score_batch, distribution, eval_batch_size, jit_compile=learner.task_execution.jit_compile
        )

    def __call__(
        self,
        params: Sequence[tf.Tensor],
        *,
        seed: tuple[int, int],
        num_tasks: int,
        step_size: float | None = None,
    ) -> np.ndarray:
        """Scores [num_tasks, num_steps + 1] of meta-learned parameters, or [num_tasks, 1] of the last step alone.

        Args:
            params: theta.
            seed: stateless seed of the tasks, two integers.
            num_tasks: tasks in all. A last batch that is not used up is drawn in full and cut.
            step_size: alpha; as in training by default.
        """
        step_size = tf.constant(self.default_step_size if step_size is None else step_size, params[0].dtype)
        batches = range(math.ceil(num_tasks / self.eval_batch_size))
        scores = [self.score_batch(tf.constant(seed), tf.constant(b), params, step_size) for b in batches]
        return np.concatenate(scores)[:num_tasks]
