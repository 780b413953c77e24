"""Scores of held-out tasks after each gradient step."""

import numpy as np
import tensorflow as tf


class Evaluation:
    """Adapts to fixed held-out tasks and scores every task after 0, 1, ... gradient steps.

    The tasks are drawn in blocks from a recorded seed, the same for every learner that is given the same distribution,
    and the work is compiled once: one object serves many parameters, step sizes and task sets.

    Column 0 is the score on the *support* points before any step, the others are query scores after the step: as the
    authors' code reports them (PROTOCOL 1.4).

    Args:
        learner: a MAML; its model, loss, adaptable parameters and task_execution are used, not its training steps.
        distribution: where the tasks come from.
        score: (labels, predictions) -> one value a task.
        num_steps: gradient steps.
        block: tasks drawn and adapted at a time. Part of what the tasks are: block b is drawn from (seed, b).
        jit_compile: compile with XLA.
        last_step_only: score the query set after the last step alone; the result has that one column.
        predict: (params, support_x, query_x) -> predictions, where the query set is not to be predicted by a call of
            the model on it alone (the batch norm ablations).
    """

    def __init__(
        self, learner, distribution, score, *, num_steps, block, jit_compile, last_step_only=False, predict=None
    ):
        predict = predict or (lambda params, _, query_x: learner.forward(params, query_x))
        self.block = block
        self.default_step_size = learner.step_size

        def score_block(params, step_size, seed, index):
            batch = distribution.sample(tf.random.fold_in(seed, index, alg="philox"), block)

            def score_tasks(params, support_x, support_y, query_x, query_y):
                after = learner.adapted_params(params, support_x, support_y, num_steps, step_size)
                scored = after[-1:] if last_step_only else after[1:]
                scores = [score(query_y, predict(p, support_x, query_x)) for p in scored]
                if not last_step_only:
                    scores.insert(0, score(support_y, learner.forward(params, support_x)))
                return tf.stack(scores, axis=-1)

            return learner.task_execution.map(score_tasks, params, batch, unroll=False)

        self.score_block = tf.function(score_block, jit_compile=jit_compile, autograph=False)

    def __call__(self, params, *, seed, num_tasks, step_size=None):
        """Scores [num_tasks, num_steps + 1] of meta-learned parameters, or [num_tasks, 1] of the last step alone.

        Args:
            params: theta.
            seed: stateless seed of the tasks, two integers.
            num_tasks: tasks in all, a multiple of the block.
            step_size: alpha; as in training by default.
        """
        if num_tasks % self.block:
            raise ValueError(f"{num_tasks} tasks cannot be divided into blocks of {self.block}")
        step_size = tf.constant(self.default_step_size if step_size is None else step_size, params[0].dtype)
        blocks = range(num_tasks // self.block)
        return np.concatenate([self.score_block(params, step_size, tf.constant(seed), tf.constant(b)) for b in blocks])
