"""Regressors that are each trained on one task, to be averaged in parameter space (Appendix C.1; PROTOCOL 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import keras
import tensorflow as tf

from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import mean_squared_error
from maml_tf.tasks.random import uniform
from maml_tf.tasks.sinusoid import INPUT
from maml_tf.training.adam import Adam, TrainingState

STEPS_BETWEEN_CHECKS = 250
CHECK_POINTS = 1000


class RegressorSettings(Protocol):
    """How the regressors are trained, as the section `multitask` of a spec says.

    Attributes:
        threshold: the mean squared error that every regressor must reach.
        batch_size: number of fresh points in each training step.
        learning_rate: of Adam.
        max_steps: the largest number of training steps of one regressor.
    """

    @property
    def threshold(self) -> float: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def max_steps(self) -> int: ...


class Trained(NamedTuple):
    """R regressors after training.

    Attributes:
        params: list of [R, ...], the parameters.
        errors: [R], the mean squared error of each regressor on an even grid over the input range.
        steps: int32 [R], the number of training steps of each.
    """

    params: list[tf.Tensor]
    errors: tf.Tensor
    steps: tf.Tensor


class SideBySideRegressors:
    """Trains R regressors at once, each on its own sinusoid, with batched matrix products over the regressors.

    Every regressor gets new points in every step ("a large amount of data"). It stops at the first check at which its
    error over the whole input range is below the threshold, or after `max_steps`.

    Args:
        model: a Keras model whose layers accept a leading axis.
        spec: the training of the regressors.
    """

    def __init__(self, model: keras.Model, spec: RegressorSettings):
        self.model = model
        self.spec = spec
        self.optimizer = Adam(spec.learning_rate)

    @tf.function(jit_compile=True, autograph=False)
    def train(
        self,
        params: Sequence[tf.Tensor],
        amplitude: tf.Tensor,
        phase: tf.Tensor,
        centre: Sequence[tf.Tensor],
        strength: tf.Tensor,
        seed: tf.Tensor,
    ) -> Trained:
        """Trains from `params` on MSE + strength * ||theta - centre||^2.

        Args:
            params: list of [R, ...], initial parameters.
            amplitude, phase: [R], the tasks.
            centre: list of tensors that broadcast against `params`: 0 for weight decay, the running mean for "to_mean".
            strength: scalar; 0 for no regulariser.
            seed: stateless seed of the training points, int32 [2].
        """
        R = amplitude.shape[0]
        amplitude, phase = amplitude[:, tf.newaxis, tf.newaxis], phase[:, tf.newaxis, tf.newaxis]

        def target(x):
            return amplitude * tf.sin(x - phase)

        def errors(params):
            x = tf.broadcast_to(tf.linspace(*INPUT, CHECK_POINTS)[:, tf.newaxis], [R, CHECK_POINTS, 1])
            return mean_squared_error(target(x), functional_call(self.model, params, x))

        def training_step(state, active):
            step_seed = tf.random.fold_in(seed, state.iteration, alg="philox")
            x = uniform(step_seed, [R, self.spec.batch_size, 1], *INPUT)
            with tf.GradientTape() as tape:
                tape.watch(state.params)
                loss = mean_squared_error(target(x), functional_call(self.model, state.params, x))
                penalty = tf.add_n([tf.reduce_sum(tf.square(p - c)) for p, c in zip(state.params, centre, strict=True)])
                # Each loss depends on one regressor's parameters only: the sum's gradient holds each one's gradient.
                total = tf.reduce_sum(loss) + strength * penalty
            after = self.optimizer.apply(state, tape.gradient(total, state.params))
            params = [
                tf.where(tf.reshape(active, [R, *[1] * (p.shape.rank - 1)]), new, p)
                for new, p in zip(after.params, state.params, strict=True)
            ]
            return after._replace(params=params)

        def round_of_steps(state, steps, error):
            active = error >= self.spec.threshold
            end = tf.minimum(state.iteration + STEPS_BETWEEN_CHECKS, self.spec.max_steps)
            begin = state.iteration
            (state,) = tf.while_loop(
                lambda state: state.iteration < end, lambda state: (training_step(state, active),), [state]
            )
            return state, steps + tf.cast(active, tf.int32) * (end - begin), errors(state.params)

        def unfinished(state, steps, error):
            return tf.logical_and(state.iteration < self.spec.max_steps, tf.reduce_any(error >= self.spec.threshold))

        start = TrainingState.start(params)
        state, steps, error = tf.while_loop(
            unfinished, round_of_steps, [start, tf.zeros([R], tf.int32), errors(start.params)]
        )
        return Trained(state.params, error, steps)
