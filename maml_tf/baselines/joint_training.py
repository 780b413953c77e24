"""Training one network on all tasks at once, without adaptation: the paper's `pretrained` and `oracle` baselines."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.meta.learner import Learner
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.tasks.base import TaskBatch


class JointTraining(Learner):
    """Minimises the mean support loss over tasks, with no inner step (section 5.1; PROTOCOL 2.1).

    *Pretrained*: the network sees x alone and must find one function for all tasks. *Oracle*: the task distribution
    adds the task's parameters to x. Both are then fine-tuned or evaluated through a MAML learner with the same model.

    Args:
        model: a built Keras model.
        loss: (labels, predictions) -> one value for each task.
    """

    task_axis = True  # of the batches' tensors

    def __init__(self, model: keras.Model, loss: Any):
        super().__init__(model, loss, TaskExecution.choose(model))

    def meta_gradient(self, params: Sequence[tf.Tensor], batch: TaskBatch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The mean support loss of a TaskBatch and its gradient; the query sets are not used (PROTOCOL 2.1)."""
        with tf.GradientTape() as tape:
            tape.watch(params)
            predictions = self.forward(params, batch.support_x)
            loss = tf.reduce_mean(self.loss(batch.support_y, predictions, task_axis=self.task_axis))
        return loss, tape.gradient(loss, params)
