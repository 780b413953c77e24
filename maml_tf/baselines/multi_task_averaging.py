"""Regressors trained each on one task, then averaged in parameter space (Appendix C.1; PROTOCOL 2.1, Table 2)."""

from typing import NamedTuple

import tensorflow as tf

from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import mean_squared_error
from maml_tf.tasks.random import uniform
from maml_tf.tasks.sinusoid import INPUT
from maml_tf.training.adam import Adam, TrainingState

STEPS_BETWEEN_CHECKS = 250
CHECK_POINTS = 1000


class Trained(NamedTuple):
    """R regressors after training.

    Attributes:
        params: list of [R, ...], the parameters.
        errors: [R], the mean squared error of each on an even grid over the input range.
        steps: int32 [R], the training steps each took.
    """

    params: list
    errors: tf.Tensor
    steps: tf.Tensor


class SideBySideRegressors:
    """Trains R regressors at once, each on its own sinusoid, with batched matrix products over the regressor axis.

    Every regressor sees fresh points in every step ("a large amount of data") and stops by itself, at the first check
    at which its error over the whole input range lies under the threshold, or after `max_steps`.

    Args:
        model: a model whose layers take a leading axis.
        spec: a MultiTaskSpec.
    """

    def __init__(self, model, spec):
        self.model = model
        self.spec = spec
        self.optimizer = Adam(spec.learning_rate)

    @tf.function(jit_compile=True, autograph=False)
    def train(self, params, amplitude, phase, centre, strength, seed):
        """Trains from `params` on MSE + strength * ||theta - centre||^2.

        Args:
            params: list of [R, ...], initial parameters.
            amplitude, phase: [R], the tasks.
            centre: list of tensors that broadcast against `params`: 0 for weight decay, the running mean for "to_mean".
            strength: scalar; 0 for no regulariser.
            seed: stateless seed of the training points.

        Returns:
            Trained.
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
                # Every regressor's loss depends on its own parameters only: the sum's gradient is each one's own.
                total = tf.reduce_sum(loss) + strength * penalty
            after = self.optimizer.apply(state, tape.gradient(total, state.params))
            kept = [
                tf.where(tf.reshape(active, [R, *[1] * (p.shape.rank - 1)]), new, p)
                for new, p in zip(after.params, state.params, strict=True)
            ]
            return after._replace(params=kept)

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
