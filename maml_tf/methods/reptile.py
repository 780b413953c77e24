"""Reptile (Nichol, Achiam and Schulman, 2018): theta moves towards the weights that training on a task ends with.

    for all T_i: phi_i = theta after k steps of SGD or Adam on mini-batches of the task
    theta <- theta + epsilon mean_i (phi_i - theta)

No derivative goes through the inner steps. There is no query set: a task's training examples are all that it has.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.adaptable import Adaptable, chosen_weights
from maml_tf.meta.adapted_model import AdaptsToTasks
from maml_tf.meta.arguments import number, task_batch, whole_number
from maml_tf.meta.compiled import compiled
from maml_tf.meta.learner import MetaStep
from maml_tf.meta.model_function import BatchNormStatistics, seeds_of_tasks
from maml_tf.meta.structures import as_tensors, dense, in_dtype
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.tasks.random import uniform

BETA2, EPSILON = 0.999, 1e-8  # of the inner Adam, which has beta1 = 0


class Reptile(AdaptsToTasks):
    """Meta-learns an initialisation by first-order interpolation (their algorithm 2, in batches of tasks).

    In meta-training a task is trained on its support and query set together; a test adapts to the support set.

    Args:
        model, loss, training, batch_norm, vectorized: see `MAML`.
        step_size: of the inner optimizer.
        num_steps: k, number of inner steps in meta-training, at least 1.
        mini_batch: examples of each inner step, drawn without replacement; all examples by default, and where a set has
            no more.
        optimizer: "adam" with beta1 = 0, whose second moments start at 0 for every task, or "sgd".
        adaptable: see `MAML`; all weights by default, those of norms too.
    """

    interpolates = True

    def __init__(
        self,
        model: keras.Model,
        loss: Any,
        step_size: float,
        num_steps: int,
        *,
        mini_batch: int | None = None,
        optimizer: Literal["adam", "sgd"] = "adam",
        adaptable: Adaptable = lambda variable: True,
        training: bool = True,
        batch_norm: BatchNormStatistics = "batch",
        vectorized: bool | None = None,
    ):
        self.step_size, self.num_steps = number("step_size", step_size), whole_number("num_steps", num_steps)
        self.mini_batch = None if mini_batch is None else whole_number("mini_batch", mini_batch)
        if optimizer not in ("adam", "sgd"):
            raise UsageError(f"optimizer: {optimizer!r} is not allowed; expected 'adam' or 'sgd'")
        self.optimizer, self.adaptable = optimizer, chosen_weights(model, adaptable)
        execution = TaskExecution.choose(model, vectorized, low_rank_possible=False)
        super().__init__(model, loss, execution, training, batch_norm)

    def inner_steps(
        self, params: Sequence[tf.Tensor], support: Any, num_steps=None, step_size=None, training=False, seed=(0, 0)
    ) -> Iterator[list[tf.Tensor]]:
        """Yields theta after 0, 1, ... steps on mini-batches of (x, y); `seed` (int32 [2], or [T, 2]) draws them."""
        return (theta for theta, _ in self._steps(params, support, num_steps, step_size, training, seed))

    def meta_step(self, params, batch, seed=None, training=None) -> MetaStep:
        """The gradient is theta - mean_i phi_i, along which an interpolation moves theta.

        The loss is that of the last mini-batch before its step. With `training=False` nothing is trained: it is the
        loss of the query set after adaptation to the support set, as MAML's.
        """
        batch, (weights, _, state) = as_tensors(task_batch(batch)), self.parts(params)
        seeds = seeds_of_tasks(seed, batch.num_tasks)
        if training is False:
            (losses,) = self.task_execution.map(self._tested, params, (*batch, seeds))
            return MetaStep(tf.reduce_mean(losses), [*map(tf.zeros_like, params)], state)
        losses, *after = self.task_execution.map(self._trained, params, (*batch, seeds))
        means = [tf.reduce_mean(values, axis=0) for values in after]
        gradients = [w - mean for w, mean in zip(weights, means[: len(weights)], strict=True)]
        return MetaStep(tf.reduce_mean(losses), [*gradients, *map(tf.zeros_like, state)], means[len(weights) :])

    def _trained(self, params, support_x, support_y, query_x, query_y, seed):
        """(loss, *phi) of a task, phi with the model's state."""
        axis = int(self.has_task_axis(params))
        both = [(support_x, query_x), (support_y, query_y)]
        x, y = (tf.nest.map_structure(lambda a, b: tf.concat([a, b], axis), *sets) for sets in both)
        loss: Any = None
        keras_training = self.function.training
        for theta, last_loss in self._steps(self._seeded(params, seed), (x, y), None, None, keras_training, seed):
            params, loss = theta, last_loss
        weights, _, state = self.parts(params)
        return [loss, *weights, *state[: len(self.function.state_variables)]]

    def _tested(self, params, support_x, support_y, query_x, query_y, seed):
        """[loss of the query set] of a task."""
        *_, (adapted, _) = self._steps(self._seeded(params, seed), (support_x, support_y), None, None, False, seed)
        weights, _, state = self.parts(adapted)
        return [self.set_loss(weights, (query_x, query_y), state, False, predicts=True)[0]]

    def _seeded(self, params, seed):
        """theta with the states of the model's seed generators; a model that has some runs task by task."""
        return self.seeded(params, seed) if self.function.seed_variables else list(params)

    def _steps(self, params, support, num_steps, step_size, training, seed):
        """Yields (theta, the loss of the step that led to it)."""
        num_steps = self.num_steps if num_steps is None else whole_number("num_steps", num_steps, 0)
        alpha = self.step_size if step_size is None else number("step_size", step_size)
        weights, _, state = self.parts(params)
        moments = [tf.zeros_like(w) for w, adapts in zip(weights, self.adaptable, strict=True) if adapts]
        loss_and_gradients = functools.partial(self._loss_and_gradients, training)
        if not tf.executing_eagerly():
            # Traced once for all steps. Otherwise each step would look at the graph of all steps before it: minutes for
            # the hundred steps of a test.
            loss_and_gradients = compiled(loss_and_gradients)
        yield list(params), None
        for step in range(num_steps):
            adapted = [w for w, adapts in zip(weights, self.adaptable, strict=True) if adapts]
            batch = self._mini_batch(support, seed, step, self.has_task_axis(weights))
            loss, gradients, state = loss_and_gradients(weights, batch, state)
            changes, moments = self._changes(gradients, moments, step + 1)
            moved = (w - in_dtype(alpha, w.dtype) * c for w, c in zip(adapted, changes, strict=True))
            weights = [next(moved) if adapts else w for w, adapts in zip(weights, self.adaptable, strict=True)]
            yield [*weights, *state], loss

    def _loss_and_gradients(self, training, weights, batch, state):
        """(loss, its gradients with respect to the adapted weights, the state after the call)"""
        adapted = [w for w, adapts in zip(weights, self.adaptable, strict=True) if adapts]
        with tf.GradientTape() as tape:
            tape.watch(adapted)
            loss, state = self.set_loss(weights, batch, state, training)
        gradients = tape.gradient(loss, adapted, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, [*map(dense, gradients)], state

    def _changes(self, gradients, moments, t):
        """What a step of size 1 subtracts, and the second moments after it; t counts from 1."""
        if self.optimizer == "sgd":
            return gradients, moments
        moments = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(moments, gradients, strict=True)]
        correction = (1 - BETA2**t) ** 0.5
        return [correction * g / (tf.sqrt(v) + EPSILON) for g, v in zip(gradients, moments, strict=True)], moments

    def _mini_batch(self, examples, seed, step, task_axis):
        """The rows of one step; everything where there are no more rows than a mini-batch has."""
        n = tf.nest.flatten(examples)[0].shape[int(task_axis)]
        if self.mini_batch is None or self.mini_batch >= n:
            return examples
        seed = tf.convert_to_tensor(seed)
        seeds = tf.unstack(seed) if seed.shape.rank == 2 else [seed]
        rows = [_some_rows(tf.random.fold_in(one, step, alg="philox"), n, self.mini_batch) for one in seeds]
        if task_axis and seed.shape.rank == 2:
            return tf.nest.map_structure(lambda part: tf.gather(part, tf.stack(rows), axis=1, batch_dims=1), examples)
        return tf.nest.map_structure(lambda part: tf.gather(part, rows[0], axis=int(task_axis)), examples)


def _some_rows(seed: tf.Tensor, n: int, count: int) -> tf.Tensor:
    """`count` of n row numbers, without repetition."""
    return tf.argsort(uniform(seed, [n]), stable=True)[:count]


def one_at_a_time(learner: AdaptsToTasks) -> Callable[..., tf.Tensor]:
    """A way to predict that is not transductive, for `Evaluation(predict=...)`.

    Every query example is put behind the support set, so that batch norm normalises it by examples that were given
    with their labels, and by no other query example (their section 6.1).
    """

    def predict(params, support_x, query_x):
        axis = int(learner.has_task_axis(learner.parts(params)[0]))
        queries = tf.split(query_x, query_x.shape[axis], axis)
        outputs = [learner.forward(params, tf.concat([support_x, query], axis)) for query in queries]
        return tf.concat([tf.gather(output, [support_x.shape[axis]], axis=axis) for output in outputs], axis)

    return predict
