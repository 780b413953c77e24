"""`adapt` on problems with a closed form, and its errors."""

import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.inner_loop import MANY_STEPS, adapt
from maml_tf.meta.inner_updates import GradientDescent
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML

A = np.array([[2.0, 0.3], [0.3, 1.0]])
CENTRE = np.array([1.0, -2.0])
QUERY_CENTRE = np.array([0.5, 0.0])
ALPHA = 0.1


def quadratic(params, centre):
    """1/2 (theta - c)' A (theta - c)."""
    distance = params[0] - centre
    return 0.5 * tf.tensordot(distance, tf.linalg.matvec(A, distance), 1)


@pytest.mark.parametrize("num_steps", [0, 1, 3])
@pytest.mark.parametrize("first_order", [False, True])
def test_quadratic_task_has_its_closed_form(num_steps, first_order):
    theta = tf.constant([0.7, 0.2], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        steps = adapt(quadratic, [theta], CENTRE, ALPHA, num_steps, first_order=first_order)
        query_loss = quadratic(steps[-1], QUERY_CENTRE)
    contraction = np.linalg.matrix_power(np.eye(2) - ALPHA * A, num_steps)
    after = CENTRE + contraction @ (theta.numpy() - CENTRE)
    query_gradient = A @ (after - QUERY_CENTRE)
    expected = query_gradient if first_order else contraction.T @ query_gradient
    assert len(steps) == num_steps + 1
    assert steps[0][0] is theta
    np.testing.assert_allclose(steps[-1][0], after, rtol=1e-13)
    np.testing.assert_allclose(tape.gradient(query_loss, theta), expected, rtol=1e-13)


@pytest.mark.parametrize("first_order", [False, True])
def test_many_steps_in_a_graph_have_the_closed_form_and_are_traced_once(first_order):
    theta, num_steps, calls = tf.constant([0.7, 0.2], tf.float64), MANY_STEPS + 5, []

    def loss(params, centre):
        calls.append(params)
        return quadratic(params, centre)

    @tf.function(autograph=False)
    def meta_gradient(theta):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            steps = adapt(loss, [theta], tf.constant(CENTRE), ALPHA, num_steps, first_order=first_order)
            query_loss = quadratic(steps[-1], QUERY_CENTRE)
        return [step[0] for step in steps], tape.gradient(query_loss, theta)

    steps, gradient = meta_gradient(theta)
    contraction = np.linalg.matrix_power(np.eye(2) - ALPHA * A, num_steps)
    after = CENTRE + contraction @ (theta.numpy() - CENTRE)
    query_gradient = A @ (after - QUERY_CENTRE)
    assert len(steps) == num_steps + 1
    np.testing.assert_allclose(steps[-1], after, rtol=1e-13)
    np.testing.assert_allclose(gradient, query_gradient if first_order else contraction.T @ query_gradient, rtol=1e-13)
    assert len(calls) < num_steps


def test_what_is_not_adaptable_stays_but_is_meta_trained():
    moving, fixed = tf.constant([1.0]), tf.constant([2.0])

    def loss(params, support):
        return tf.reduce_sum(tf.square(params[0] * params[1] - support))

    with tf.GradientTape() as tape:
        tape.watch([moving, fixed])
        after = adapt(loss, [moving, fixed], 1.0, 0.1, 2, adaptable=[True, False])[-1]
        outer = loss(after, 3.0)
    assert after[1] is fixed
    assert not np.allclose(after[0], moving)
    assert tape.gradient(outer, fixed) is not None


def test_a_parameter_outside_the_loss_is_an_error_that_says_which():
    with pytest.raises(ValueError, match=r"parameter 1 of shape \(3,\).*takes no part in the loss"):
        adapt(lambda params, _: tf.reduce_sum(params[0] ** 2), [tf.ones(2), tf.ones(3)], None, 0.1, 1)


def test_a_task_axis_gives_every_task_its_own_gradient():
    theta = tf.constant([[1.0], [2.0], [4.0]])
    after = adapt(
        lambda params, c: tf.reduce_sum((params[0] - c) ** 2, axis=1),
        [theta],
        tf.constant([[0.0], [1.0], [2.0]]),
        0.25,
        1,
    )
    np.testing.assert_allclose(after[-1][0], [[0.5], [1.5], [3.0]])


def test_adapting_to_one_task_keeps_few_copies_of_the_weights():
    references, alive = [], []

    class Noting(GradientDescent):
        def __call__(self, weights, *arguments):
            references.append(weakref.ref(weights[0]))
            alive.append(sum(reference() is not None for reference in references))
            return super().__call__(weights, *arguments)

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    learner = MAML(model, mean_squared_error, 0.01, 1, inner_update=Noting())
    learner.adapt(np.ones((2, 1), np.float32), np.ones((2, 3), np.float32), num_steps=30)
    assert len(alive) == 30
    assert max(alive) <= 3


def test_a_weight_that_is_gathered_from_is_adapted_as_by_the_dense_gradient():
    table, rows = tf.reshape(tf.range(6.0), [3, 2]), tf.constant([0, 2, 0])
    gathered = adapt(lambda p, _: tf.reduce_sum(tf.gather(p[0], rows) ** 2), [table], None, 0.1, 2)[-1]
    one_hot = adapt(lambda p, _: tf.reduce_sum(tf.matmul(tf.one_hot(rows, 3), p[0]) ** 2), [table], None, 0.1, 2)[-1]
    np.testing.assert_allclose(gathered[0], one_hot[0], rtol=1e-6)


def test_state_is_passed_from_call_to_call():
    def loss(weights, support, state):
        return tf.reduce_sum(weights[0] * state[0]), [state[0] + 1.0]

    steps = adapt(loss, [tf.constant(0.0), tf.constant(1.0)], None, 1.0, 3, num_state=1)
    assert [float(theta[0]) for theta in steps] == [0.0, -1.0, -3.0, -6.0]
    assert [float(theta[1]) for theta in steps] == [1.0, 2.0, 3.0, 4.0]
