"""What every meta-trained learner has: MAML and the baselines."""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.meta.functional import functional_call, weight_names, weights_of
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.meta.task_loss import TaskLoss
from maml_tf.tasks.base import TaskBatch


class Learner(abc.ABC):
    """A model, a loss, and a gradient to train them by.

    theta is a list of tensors: the model's weights, then the parameters that the learner adds. It is passed in and
    returned; the model's own variables stay unchanged.

    Attributes:
        model: a built Keras model.
        loss: the `TaskLoss` (labels, predictions) -> one value for each task.
        task_execution: how the tasks of a batch are executed.
    """

    def __init__(self, model: keras.Model, loss: Any, task_execution: TaskExecution):
        self.model = model
        self.loss = TaskLoss(loss)
        self.task_execution = task_execution

    @abc.abstractmethod
    def meta_gradient(self, params: Sequence[tf.Tensor], batch: TaskBatch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loss [] on a TaskBatch and its gradient by every parameter, in the order of `params`."""

    def added_params(self) -> dict[str, tf.Tensor]:
        """The parameters that theta has besides the model's weights, by name, at iteration 0."""
        return {}

    def initial_params(self) -> list[tf.Tensor]:
        """theta at iteration 0: the model's own weights, then the added parameters."""
        return [*weights_of(self.model), *self.added_params().values()]

    @property
    def param_names(self) -> list[str]:
        """A name for each parameter in theta."""
        return [*weight_names(self.model), *self.added_params()]

    def forward(self, params: Sequence[tf.Tensor], x: Any) -> tf.Tensor:
        """The model's output on x, computed with the weights in theta. See `functional_call` for the task axis."""
        return functional_call(self.model, params[: len(self.model.trainable_variables)], x)

    def loss_on(self, params: Sequence[tf.Tensor], x: Any, y: Any) -> tf.Tensor:
        """The loss of theta on labelled examples.

        Args:
            params: theta, where its weights may have a leading task axis.
            x, y: [n, ...], or [T, n, ...] for weights with a task axis.

        Returns:
            [], or [T].
        """
        task_axis = params[0].shape.rank > len(self.model.trainable_variables[0].shape)
        return self.loss(y, self.forward(params, x), task_axis=task_axis)
