"""Adam: the steps of Keras' Adam with another epsilon, and schedules of the learning rate."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.training.adam import Adam, TrainingState


def test_adam_is_keras_adam_with_epsilon_1e8():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 2)).astype(np.float32)
    state, adam = TrainingState.start([tf.constant(start)]), Adam(0.01)
    variable, reference = keras.Variable(start), keras.optimizers.Adam(0.01, epsilon=1e-8)
    for scale in (1.0, 1e-6, 0.0, 3.0):
        gradient = tf.constant(scale * rng.normal(size=(3, 2)), tf.float32)
        state = adam.apply(state, [gradient])
        reference.apply([gradient], [variable])
        np.testing.assert_allclose(state.params[0], variable.numpy(), rtol=2e-5)
    assert int(state.iteration) == 4


@pytest.mark.parametrize("graph", [False, True])
def test_a_schedule_gives_the_rate_of_each_iteration(graph):
    rates = [0.5, 0.25, 0.125]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], rates)
    state = TrainingState.start([tf.zeros(2)])
    gradient = [tf.constant([1.0, -2.0])]
    by_schedule = Adam(schedule).apply
    if graph:
        by_schedule = tf.function(by_schedule, autograph=False)
    for rate in rates:
        expected = Adam(rate).apply(state, gradient).params[0]
        state = by_schedule(state, gradient)
        np.testing.assert_allclose(state.params[0], expected, rtol=1e-6)
