"""What every meta-trained learner has: MAML and the baselines."""

import abc
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.arguments import built_model
from maml_tf.meta.functional import weight_names, weights_of
from maml_tf.meta.model_function import BatchNormStatistics, ModelFunction
from maml_tf.meta.structures import as_tensors, full_precision
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.meta.task_loss import TaskLoss
from maml_tf.tasks.base import TaskBatch


class MetaStep(NamedTuple):
    """What a batch of tasks says about theta.

    Attributes:
        loss: the meta-loss [].
        gradients: its gradient by every parameter in theta; zeros for the model's state.
        state: the new values of the model's state, the last entries of theta.
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor]
    state: list[tf.Tensor]


class Learner(abc.ABC):
    """A model, a loss, and a gradient to train them by.

    theta is a list of tensors: the model's weights, then the parameters that the learner adds, then the model's state,
    such as running statistics (see `ModelFunction`). It is passed in and returned; the model's own variables stay
    unchanged.

    Attributes:
        model: a built Keras model.
        loss: the `TaskLoss` (labels, predictions) -> one value for each task.
        task_execution: how the tasks of a batch are executed.
        function: the model as a pure function.
    """

    card: Any = None  # of published weights (see `maml_tf.load`)
    interpolates: bool = False  # whether the outer update is an interpolation (Reptile), and not Adam's

    def __init__(
        self,
        model: keras.Model,
        loss: Any,
        task_execution: TaskExecution,
        training: bool = True,
        batch_norm: BatchNormStatistics = "batch",
    ):
        self.model = built_model(model)
        self.loss = TaskLoss(loss)
        self.task_execution = task_execution
        self.function = ModelFunction(model, training, batch_norm)

    @abc.abstractmethod
    def meta_step(
        self,
        params: Sequence[tf.Tensor],
        batch: TaskBatch,
        seed: tf.Tensor | Sequence[int] | None = None,
        training: bool | None = None,
    ) -> MetaStep:
        """The loss on a TaskBatch, its gradient by theta, and the model's new state.

        Args:
            params: theta.
            batch: a TaskBatch.
            seed: stateless seed of what the model draws, such as Dropout's masks; int32 [2], or one for each task
                [T, 2].
            training: Keras' argument `training`; as the learner says by default.
        """

    def meta_gradient(
        self, params: Sequence[tf.Tensor], batch: TaskBatch, seed: tf.Tensor | Sequence[int] | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loss [] and the gradients of `meta_step`, in the order of `params`."""
        return self.meta_step(params, batch, seed)[:2]

    def after_step(self, params: Sequence[tf.Tensor], state: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """theta after an outer step: the weights within their constraints, and the new state in its place."""
        weights, added, _ = self.parts(params)
        return [*self.function.constrained(weights), *added, *state]

    def added_params(self) -> dict[str, tf.Tensor]:
        """The parameters that theta has between the model's weights and its state, by name, at iteration 0."""
        return {}

    def own_state(self) -> dict[str, tf.Tensor]:
        """What the learner itself carries in theta behind the model's state, by name, at iteration 0."""
        return {}

    def initial_params(self) -> list[tf.Tensor]:
        """theta at iteration 0: the model's own weights, the added parameters, the state."""
        state = [*self.function.initial_state(), *self.own_state().values()]
        return [*weights_of(self.model), *self.added_params().values(), *state]

    @property
    def param_names(self) -> list[str]:
        """A name for each parameter in theta."""
        state = weight_names(self.model, self.function.state_variables)
        return [*weight_names(self.model), *self.added_params(), *state, *self.own_state()]

    @functools.cached_property
    def num_state(self) -> int:
        """The number of entries of the state that theta carries from one outer step to the next."""
        with tf.init_scope():
            return len(self.function.state_variables) + len(self.own_state())

    @functools.cached_property
    def num_added(self) -> int:
        """The number of added parameters."""
        with tf.init_scope():  # not a part of a graph that is being traced, which would hold the model's variables
            return len(self.added_params())

    def parts(self, params: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """theta as (weights, added parameters, state)."""
        weights, params = len(self.model.trainable_variables), list(params)
        added = weights + self.num_added
        return params[:weights], params[weights:added], params[added:]

    def seeded(self, params: Sequence[tf.Tensor], seed: tf.Tensor | Sequence[int] | None = None) -> list[tf.Tensor]:
        """theta of one task: with the states of the model's seed generators at its end, made of a stateless seed."""
        return [*params, *([] if seed is None else self.function.seeds(seed))]

    def of_unequal_tasks(self) -> Self:
        """A learner with the same model that runs its tasks one by one, since they differ in their numbers of examples.

        Raises:
            UsageError: the learner does not run tasks one by one, or the user asked for vectorised execution.
        """
        raise UsageError(
            f"the tasks differ in their numbers of examples, and {type(self).__name__} trains on all of them as one "
            "batch: draw tasks with equal numbers"
        )

    def has_task_axis(self, weights: Sequence[tf.Tensor]) -> bool:
        """Whether batches have a task axis when the model is called with these weights: where the weights have one."""
        return weights[0].shape.rank > len(self.model.trainable_variables[0].shape)

    def forward(self, params: Sequence[tf.Tensor], x: Any) -> Any:
        """The model's predictions for x, computed with theta. Dropout and the like are off.

        Args:
            params: theta, or the weights alone. With a task axis T where x has one (`functional_call`).
            x: inputs, a tensor or a structure of them.
        """
        weights, _, state = self.parts(params)
        return self.function(weights, state or self.function.initial_state(), as_tensors(x)).outputs

    def set_loss(
        self, weights: Sequence[tf.Tensor], xy: Any, state: Sequence[tf.Tensor], training: bool, predicts: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loss on one set with the losses that the model adds, and the state after the call.

        Args:
            weights, state, training, predicts: see `ModelFunction`.
            xy: (inputs, labels).

        Raises:
            ValueError: the model adds losses, and the tasks are vectorised.
        """
        x, y = xy
        outputs, state, added = self.function(weights, state, x, training=training, predicts=predicts)
        loss = self.loss(y, full_precision(outputs), task_axis=self.has_task_axis(weights))
        if added and self.task_execution.vectorized:
            raise ValueError("the model adds losses of its own, which have no task axis: pass vectorized=False")
        return tf.add_n([loss, *(tf.cast(value, loss.dtype) for value in added)]) if added else loss, state
