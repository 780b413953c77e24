"""MAML: Algorithms 1 and 2 of the paper, for any Keras model and any differentiable loss.

Algorithm 2 (Algorithm 1 is the general form)                                        where
   1: initialise theta at random                                                     MAML.initial_params
2, 3: while not done, sample a batch of tasks T_i ~ p(T)                             maml_tf/training/loop.py
 4-8: for all T_i: theta_i' = theta - alpha grad L_i(theta), on the support set      MAML.adapted_params
9-10: theta <- theta - beta grad sum_i L_i(theta_i'), on the query sets              MAML.meta_gradient, then Adam
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.meta.adaptable import all_but_norm_offsets
from maml_tf.meta.adapted_model import AdaptedModel, as_tensor
from maml_tf.meta.functional import weight_names, weights_of
from maml_tf.meta.inner_loop import adapt
from maml_tf.meta.inner_updates import GradientDescent, InnerUpdate
from maml_tf.meta.learner import Learner
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.ops.low_rank_updates import low_rank_task_losses
from maml_tf.tasks.base import TaskBatch


class MAML(Learner):
    """Meta-learns an initialisation from which a few gradient steps solve a new task.

    Args:
        model: a built Keras model.
        loss: (labels, predictions) -> one value for each task, as in `maml_tf.losses`; a Keras loss (see `TaskLoss`).
        step_size: alpha, the inner step size.
        num_steps: number of inner gradient steps in meta-training.
        first_order: drop the second derivatives (section 5.2, "first-order approximation").
        adaptable: a function of a Keras variable: whether the inner loop adapts it. Meta-training changes all.
        inner_update: the rule of one inner step, which may add parameters to theta; gradient descent by default.
        vectorized, low_rank_updates, task_chunk: how tasks are executed; by default the fastest way for the model on
            this device (see `TaskExecution`).
        gradient_checkpointing: compute inner steps a second time when differentiating (see `adapt`).
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Any,
        step_size: float,
        num_steps: int,
        *,
        first_order: bool = False,
        adaptable: Callable[[keras.Variable], bool] = all_but_norm_offsets,
        inner_update: InnerUpdate | None = None,
        vectorized: bool | None = None,
        low_rank_updates: bool | None = None,
        task_chunk: int | None = None,
        gradient_checkpointing: bool = False,
    ):
        self.step_size, self.num_steps, self.first_order = step_size, num_steps, first_order
        self.adaptable = [bool(adaptable(variable)) for variable in model.trainable_variables]
        self.inner_update, self.gradient_checkpointing = inner_update or GradientDescent(), gradient_checkpointing
        by_default = self.adaptable == [all_but_norm_offsets(variable) for variable in model.trainable_variables]
        low_rank_possible = by_default and type(self.inner_update) is GradientDescent and not gradient_checkpointing
        execution = TaskExecution.choose(model, vectorized, task_chunk, low_rank_updates, low_rank_possible)
        super().__init__(model, loss, execution)

    def added_params(self) -> dict[str, tf.Tensor]:
        """The parameters of the inner update."""
        named = zip(weight_names(self.model), weights_of(self.model), self.adaptable, strict=True)
        return self.inner_update.initial_params({name: w for name, w, adapts in named if adapts}, self.step_size)

    def adapted_params(
        self,
        params: Sequence[tf.Tensor],
        support_x: tf.Tensor,
        support_y: tf.Tensor,
        num_steps: int | None = None,
        step_size: float | tf.Tensor | None = None,
    ) -> list[list[tf.Tensor]]:
        """Lines 4-8: theta after 0, 1, ... inner steps on a support set; steps and alpha as in training by default."""
        return adapt(
            lambda weights, support: self.loss_on(weights, *support),
            params,
            (support_x, support_y),
            self.step_size if step_size is None else step_size,
            self.num_steps if num_steps is None else num_steps,
            first_order=self.first_order,
            adaptable=self.adaptable,
            inner_update=self.inner_update,
            gradient_checkpointing=self.gradient_checkpointing,
        )

    def task_loss(self, params: Sequence[tf.Tensor], support_x, support_y, query_x, query_y) -> tf.Tensor:
        """L_i(theta_i'), a summand of the meta-objective: the query loss after adaptation to the support set."""
        adapted = self.adapted_params(params, support_x, support_y)[-1]
        return self.loss_on(adapted, query_x, query_y)

    def meta_gradient(self, params: Sequence[tf.Tensor], batch: TaskBatch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Line 10: the meta-loss of a TaskBatch, averaged over its tasks (PROTOCOL 1.1), and its gradient by theta."""
        task_losses = functools.partial(self.task_execution.map, self.task_loss)
        if self.task_execution.low_rank_updates:  # the same losses, in another order of summation
            task_losses = functools.partial(low_rank_task_losses, self)
        return self.task_execution.mean_and_gradient(task_losses, params, batch)

    def adapt(
        self, x: Any, y: Any, num_steps: int | None = None, params: Sequence[tf.Tensor] | None = None
    ) -> AdaptedModel:
        """Adapts to one new task: `learner.adapt(x, y)(x_new)`.

        Args:
            x, y: the support set of the task, [N*K, ...] each.
            num_steps: number of gradient steps; as in training by default.
            params: theta to start from; the model's own weights by default.
        """
        params = self.initial_params() if params is None else params
        support_x, support_y = (as_tensor(array, params[0].dtype) for array in (x, y))
        *_, adapted = self.adapted_params(params, support_x, support_y, num_steps)
        return AdaptedModel(self.model, adapted[: len(self.adaptable)])
