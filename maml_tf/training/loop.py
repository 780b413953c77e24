"""The meta-training loop as one compiled function: sampling, meta-gradient and Adam, n iterations for each call."""

import concurrent.futures
import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from maml_tf.meta.compiled import compiled, draw
from maml_tf.meta.learner import Learner, MetaStep
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.training.adam import Adam
from maml_tf.training.interpolation import Interpolation
from maml_tf.training.keras_optimizer import KerasOptimizer
from maml_tf.training.shares import Spread

State = Any  # TrainingState or OptimizerState

# Folded into the seed of an iteration's tasks: the seed of what the model draws there, such as Dropout's masks.
MASKS = 2**31 - 1


def compiled_loop(
    learner: Learner,
    tasks: TaskDistribution,
    optimizer: Adam | Interpolation | KerasOptimizer,
    *,
    batch_size: int,
    seed: tuple[int, int] | tf.Tensor,
    gradient_clip: float | None = None,
    spread: Spread | None = None,
) -> Callable[..., tuple[State, tf.Tensor]]:
    """Compiles `(state, n) -> (state after n more meta-iterations, their mean meta-loss)`.

    The tasks of iteration i and the masks of the model's Dropout are drawn from a seed made of `seed` and i alone. So
    the result does not depend on how the iterations are divided into calls, and a resumed training equals an
    uninterrupted one. The learner's task execution says whether the loop is compiled with XLA. Tasks that are drawn
    outside of the graph (`NumPyTasks`) are prepared by a thread while the iteration before runs; then one iteration is
    compiled, not the loop.

    Args:
        learner: a MAML or one of the baselines.
        tasks: what to train on.
        optimizer: the meta-optimizer.
        batch_size: number of tasks in each iteration.
        seed: stateless seed of the task draws: two integers, or an int32 tensor [2].
        gradient_clip: every entry of the meta-gradient is clipped to [-gradient_clip, gradient_clip] (PROTOCOL 2.6).
        spread: computes the meta-step on several devices or machines. Then an iteration is compiled, not the loop.

    Returns:
        A function of the optimizer's state and an int32 scalar. With a third argument, the sum of the meta-losses so
        far, it returns the sum after these iterations in place of the mean. The sum of several calls then has the same
        bits as that of one call. An infinite entry of a gradient that is clipped becomes NaN, so that it is not hidden.
    """
    jit_compile = learner.task_execution.jit_compile

    def draw_tasks(iteration: tf.Tensor) -> TaskBatch:
        return draw(tasks, seed, iteration, batch_size)

    def mask_seed(iteration: tf.Tensor) -> tf.Tensor:
        iteration_seed = tf.random.fold_in(tf.convert_to_tensor(seed), iteration, alg="philox")
        return tf.random.fold_in(iteration_seed, MASKS, alg="philox")

    def outer_step(state: State, step: MetaStep) -> tuple[State, tf.Tensor]:
        loss, gradients, model_state = step
        if gradient_clip is not None:
            gradients = [
                tf.where(tf.math.is_finite(g), tf.clip_by_value(g, -gradient_clip, gradient_clip), math.nan)
                for g in gradients
            ]
        state = optimizer.apply(state, gradients)
        return state._replace(params=learner.after_step(state.params, model_state)), loss

    def meta_iteration(state: State, batch: TaskBatch) -> tuple[State, tf.Tensor]:
        meta_step = learner.meta_step if spread is None else spread.meta_step
        return outer_step(state, meta_step(state.params, batch, mask_seed(state.iteration)))

    if spread is not None:
        draw_outside = compiled(draw_tasks) if tasks.in_graph else draw_tasks
        if spread.in_graph:
            step = compiled(meta_iteration, reduce_retracing=True)
        else:
            outer_step = compiled(outer_step, jit_compile=jit_compile)
            step = meta_iteration
        return functools.partial(_run_outside, step, draw_outside)

    if not tasks.in_graph:
        step = compiled(meta_iteration, jit_compile=jit_compile, reduce_retracing=True)
        return functools.partial(_run_outside, step, draw_tasks)

    def run(state: State, num_iterations: tf.Tensor, so_far: tf.Tensor | None = None) -> tuple[State, tf.Tensor]:
        # The loop carries the tasks of its next iteration. If the tasks were drawn where they are used, XLA would fuse
        # the draw into every loop that reads them and draw them again in each (benchmark workload `sinusoid`).
        def body(done, state, batch, total):
            state, loss = meta_iteration(state, batch)
            return done + 1, state, draw_tasks(state.iteration), total + tf.cast(loss, total.dtype)

        first = tf.zeros([], state.params[0].dtype) if so_far is None else so_far
        done, state, _, total = tf.while_loop(
            lambda done, *_: done < num_iterations,
            body,
            [tf.constant(0), state, draw_tasks(state.iteration), first],
            parallel_iterations=1,
        )
        return state, total / tf.cast(done, total.dtype) if so_far is None else total

    return compiled(run, jit_compile=jit_compile)


def _run_outside(
    step: Callable[..., tuple[State, tf.Tensor]],
    draw_tasks: Callable[[tf.Tensor], TaskBatch],
    state: State,
    num_iterations: tf.Tensor,
    so_far: tf.Tensor | None = None,
) -> tuple[State, tf.Tensor]:
    """Meta-iterations whose tasks are drawn one iteration ahead, in a thread."""
    first = int(state.iteration)
    total = tf.zeros([], state.params[0].dtype) if so_far is None else so_far
    last = first + int(num_iterations) - 1
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(draw_tasks, tf.constant(first))
        for iteration in range(first, last + 1):
            batch = drawn.result()
            if iteration < last:
                drawn = pool.submit(draw_tasks, tf.constant(iteration + 1))
            state, loss = step(state, batch)
            total += tf.cast(loss, total.dtype)
    return state, total / (last + 1 - first) if so_far is None else total
