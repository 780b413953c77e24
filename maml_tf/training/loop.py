"""The meta-training loop as one compiled function: sampling, meta-gradient and Adam, n iterations for each call."""

import math
from collections.abc import Callable

import tensorflow as tf

from maml_tf.meta.learner import Learner
from maml_tf.meta.structures import as_tensors
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.training.adam import Adam, TrainingState

# Folded into the seed of an iteration's tasks: the seed of what the model draws there, such as Dropout's masks.
MASKS = 2**31 - 1


def compiled_loop(
    learner: Learner,
    tasks: TaskDistribution,
    optimizer: Adam,
    *,
    batch_size: int,
    seed: tuple[int, int] | tf.Tensor,
    gradient_clip: float | None = None,
) -> Callable[[TrainingState, tf.Tensor], tuple[TrainingState, tf.Tensor]]:
    """Compiles `(state, n) -> (state after n more meta-iterations, their mean meta-loss)`.

    The tasks of iteration i and the masks of the model's Dropout are drawn from a seed made of `seed` and i alone. So
    the result does not depend on how the iterations are divided into calls, and a resumed training equals an
    uninterrupted one. The learner's task execution says whether the loop is compiled with XLA.

    Args:
        learner: a MAML or one of the baselines.
        tasks: what to train on.
        optimizer: the meta-optimizer.
        batch_size: number of tasks in each iteration.
        seed: stateless seed of the task draws: two integers, or an int32 tensor [2].
        gradient_clip: every entry of the meta-gradient is clipped to [-gradient_clip, gradient_clip] (PROTOCOL 2.6).

    Returns:
        A function of a TrainingState and an int32 scalar. With a third argument, the sum of the meta-losses so far, it
        returns the sum after these iterations in place of the mean. The sum of several calls then has the same bits as
        that of one call. An infinite entry of a gradient that is clipped becomes NaN, so that it is not hidden.
    """

    def seed_of(iteration: tf.Tensor) -> tf.Tensor:
        return tf.random.fold_in(tf.convert_to_tensor(seed), iteration, alg="philox")

    def draw(iteration: tf.Tensor) -> TaskBatch:
        return as_tensors(tasks.sample(seed_of(iteration), batch_size))

    def meta_iteration(state: TrainingState, batch: TaskBatch) -> tuple[TrainingState, tf.Tensor]:
        mask_seed = tf.random.fold_in(seed_of(state.iteration), MASKS, alg="philox")
        loss, gradients, model_state = learner.meta_step(state.params, batch, mask_seed)
        if gradient_clip is not None:
            gradients = [
                tf.where(tf.math.is_finite(g), tf.clip_by_value(g, -gradient_clip, gradient_clip), math.nan)
                for g in gradients
            ]
        state = optimizer.apply(state, gradients)
        return state._replace(params=learner.after_step(state.params, model_state)), loss

    @tf.function(jit_compile=learner.task_execution.jit_compile, autograph=False)
    def run(
        state: TrainingState, num_iterations: tf.Tensor, so_far: tf.Tensor | None = None
    ) -> tuple[TrainingState, tf.Tensor]:
        # The loop carries the tasks of its next iteration. If the tasks were drawn where they are used, XLA would fuse
        # the draw into every loop that reads them and draw them again in each (benchmark workload `sinusoid`).
        def body(done, state, batch, total):
            state, loss = meta_iteration(state, batch)
            return done + 1, state, draw(state.iteration), total + tf.cast(loss, total.dtype)

        first = tf.zeros([], state.params[0].dtype) if so_far is None else so_far
        done, state, _, total = tf.while_loop(
            lambda done, *_: done < num_iterations,
            body,
            [tf.constant(0), state, draw(state.iteration), first],
            parallel_iterations=1,
        )
        return state, total / tf.cast(done, total.dtype) if so_far is None else total

    return run
