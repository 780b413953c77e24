"""MAML: Algorithms 1 and 2 of the paper, for any Keras model and any differentiable loss.

Algorithm 2 (Algorithm 1 is the general form)                                        where
   1: initialise theta at random                                                     MAML.initial_params
2, 3: while not done, sample a batch of tasks T_i ~ p(T)                             maml_tf/training/loop.py
 4-8: for all T_i: theta_i' = theta - alpha grad L_i(theta), on the support set      MAML.inner_steps
9-10: theta <- theta - beta grad sum_i L_i(theta_i'), on the query sets              MAML.meta_step, then Adam
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.meta.adaptable import Adaptable, all_but_norm_offsets, chosen_weights
from maml_tf.meta.adapted_model import AdaptsToTasks
from maml_tf.meta.arguments import number, task_batch, whole_number
from maml_tf.meta.functional import weight_names, weights_of
from maml_tf.meta.inner_loop import inner_steps
from maml_tf.meta.inner_updates import GradientDescent, InnerUpdate, chosen_update
from maml_tf.meta.learner import Learner, MetaStep
from maml_tf.meta.model_function import BatchNormStatistics
from maml_tf.meta.structures import as_tensors
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.ops.low_rank_updates import low_rank_task_losses


class MAML(AdaptsToTasks, Learner):
    """Meta-learns an initialisation from which a few gradient steps solve a new task.

    Args:
        model: a built Keras model.
        loss: (labels, predictions) -> one value for each task, as in `maml_tf.losses`; a Keras loss (see `TaskLoss`).
        step_size: alpha, the inner step size.
        num_steps: number of inner gradient steps in meta-training.
        first_order: drop the second derivatives (section 5.2, "first-order approximation").
        adaptable: a function of a Keras variable: whether the inner loop adapts it. Meta-training changes all.
        inner_update: the rule of one inner step, which may add parameters to theta; gradient descent by default.
        training, batch_norm: how Keras' layers behave (see `ModelFunction`): Dropout is on in meta-training, and
            BatchNormalization uses the statistics of the batch it is given, by default.
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
        adaptable: Adaptable = all_but_norm_offsets,
        inner_update: InnerUpdate | None = None,
        training: bool = True,
        batch_norm: BatchNormStatistics = "batch",
        vectorized: bool | None = None,
        low_rank_updates: bool | None = None,
        task_chunk: int | None = None,
        gradient_checkpointing: bool = False,
    ):
        self.step_size, self.num_steps = number("step_size", step_size), whole_number("num_steps", num_steps, 0)
        self.first_order, self.adaptable = first_order, chosen_weights(model, adaptable)
        self.inner_update, self.gradient_checkpointing = chosen_update(inner_update), gradient_checkpointing
        by_default = self.adaptable == [all_but_norm_offsets(variable) for variable in model.trainable_variables]
        low_rank_possible = by_default and type(self.inner_update) is GradientDescent and not gradient_checkpointing
        execution = TaskExecution.choose(model, vectorized, task_chunk, low_rank_updates, low_rank_possible)
        super().__init__(model, loss, execution, training, batch_norm)

    def added_params(self) -> dict[str, tf.Tensor]:
        """The parameters of the inner update."""
        if type(self.inner_update).initial_params is InnerUpdate.initial_params:
            return {}
        named = zip(weight_names(self.model), weights_of(self.model), self.adaptable, strict=True)
        return self.inner_update.initial_params({name: w for name, w, adapts in named if adapts}, self.step_size)

    def inner_steps(
        self, params: Sequence[tf.Tensor], support: Any, num_steps=None, step_size=None, training: bool = False
    ) -> Iterator[list[tf.Tensor]]:
        """Lines 4-8: yields theta after 0, 1, ... inner steps on (x, y); steps and alpha as in training by default."""
        return inner_steps(
            functools.partial(self.set_loss, training=training),
            params,
            support,
            self.step_size if step_size is None else step_size,
            self.num_steps if num_steps is None else num_steps,
            first_order=self.first_order,
            adaptable=self.adaptable,
            inner_update=self.inner_update,
            num_state=len(self.parts(params)[-1]),
            gradient_checkpointing=self.gradient_checkpointing,
        )

    def task_loss(self, params, support_x, support_y, query_x, query_y, *seed, training=True):
        """L_i(theta_i'), the query loss after adaptation to the support set, and the model's state after it."""
        *_, adapted = self.inner_steps(self.seeded(params, *seed), (support_x, support_y), training=training)
        weights, _, state = self.parts(adapted)
        loss, state = self.set_loss(weights, (query_x, query_y), state, training, predicts=not training)
        return loss, state[: self.num_state]

    def meta_step(self, params, batch, seed=None, training=None) -> MetaStep:
        """Line 10: the meta-loss of a TaskBatch, averaged over its tasks (PROTOCOL 1.1), and its gradient by theta."""
        batch, training = as_tensors(task_batch(batch)), self.function.training if training is None else training
        if batch.is_ragged and self.task_execution.vectorized:
            return self.of_unequal_tasks().meta_step(params, batch, seed, training)
        task_losses = functools.partial(self.task_execution.map, functools.partial(self.task_loss, training=training))
        if self.task_execution.low_rank_updates:  # the same losses, in another order of summation
            task_losses = functools.partial(low_rank_task_losses, self)
        tasks = (*batch, *self.function.task_seeds(seed, batch.num_tasks))
        return MetaStep(*self.task_execution.mean_and_gradient(task_losses, params, tasks))
