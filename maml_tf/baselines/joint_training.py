"""Training one network on all tasks at once, without adaptation: the paper's `pretrained` and `oracle` baselines."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.meta.learner import Learner, MetaStep
from maml_tf.meta.model_function import BatchNormStatistics
from maml_tf.meta.structures import as_tensors, dense
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.tasks.base import TaskBatch


class JointTraining(Learner):
    """Minimises the mean support loss over tasks, with no inner step (section 5.1; PROTOCOL 2.1).

    *Pretrained*: the network sees x alone and must find one function for all tasks. *Oracle*: the task distribution
    adds the task's parameters to x. Both are then fine-tuned or evaluated through a MAML learner with the same model.

    Args:
        model: a built Keras model.
        loss: (labels, predictions) -> one value for each task.
        training, batch_norm: how Keras' layers behave in training (see `ModelFunction`).
    """

    task_axis = True  # of the batches' tensors

    def __init__(
        self,
        model: keras.Model,
        loss: Any,
        training: bool = True,
        batch_norm: BatchNormStatistics = "batch",
    ):
        super().__init__(model, loss, TaskExecution.choose(model), training, batch_norm)

    def has_task_axis(self, weights: Sequence[tf.Tensor]) -> bool:
        """Batches have a task axis, which the weights do not have."""
        return self.task_axis

    def meta_step(
        self,
        params: Sequence[tf.Tensor],
        batch: TaskBatch,
        seed: tf.Tensor | Sequence[int] | None = None,
        training: bool | None = None,
    ) -> MetaStep:
        """The mean support loss of a TaskBatch and its gradient; the query sets are not used (PROTOCOL 2.1)."""
        training = self.function.training if training is None else training
        x, y = as_tensors((batch.support_x, batch.support_y))
        given: Any = None if seed is None else tf.convert_to_tensor(seed)
        if given is not None and given.shape.rank == 2:
            given = given[0]  # the model is called once for all tasks
        with tf.GradientTape() as tape:
            tape.watch(params)
            weights, _, state = self.parts(self.seeded(params, given))
            losses, state = self.set_loss(weights, (x, y), state, training, predicts=not training)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return MetaStep(loss, list(map(dense, gradients)), state[: len(self.function.state_variables)])
