"""Reptile: its update against NumPy, its mini-batches, its outer interpolation, and what it is with one step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import largest_difference
from reference import numpy_maml

import maml_tf as mt
from maml_tf.baselines.joint_training import JointTraining
from maml_tf.errors import UsageError
from maml_tf.methods.reptile import one_at_a_time

ALPHA = 0.05


@pytest.fixture(scope="module")
def problem():
    """A small float64 network with weights of ordinary size, and three tasks."""
    rng = np.random.default_rng(0)
    model = mt.models.MLP(2, (4,), 1, dtype="float64")
    weights = [rng.normal(size=tuple(v.shape)) for v in model.trainable_variables]
    tasks = [tuple(rng.normal(size=(n, d)) for n, d in ((6, 2), (6, 1), (5, 2), (5, 1))) for _ in range(3)]
    batch = mt.TaskBatch(*(tf.constant(np.stack(arrays)) for arrays in zip(*tasks, strict=True)))
    return model, weights, tasks, batch


def adam(params, x, y, steps):
    """Adam with beta1 = 0 in NumPy."""
    moments = [np.zeros_like(p) for p in params]
    for t in range(1, steps + 1):
        gradients = numpy_maml.gradient(params, x, y)
        moments = [0.999 * v + 0.001 * g**2 for v, g in zip(moments, gradients, strict=True)]
        scale = ALPHA * np.sqrt(1 - 0.999**t)
        params = [p - scale * g / (np.sqrt(v) + 1e-8) for p, g, v in zip(params, gradients, moments, strict=True)]
    return params


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_update_equals_numpy(problem, vectorized, optimizer):
    model, weights, tasks, batch = problem
    learner = mt.methods.Reptile(model, "mse", ALPHA, 3, optimizer=optimizer, vectorized=vectorized)
    _, gradients = learner.meta_gradient([*map(tf.constant, weights)], batch)
    joined = [(np.concatenate([a, c]), np.concatenate([b, d])) for a, b, c, d in tasks]
    phis = [
        adam(weights, x, y, 3) if optimizer == "adam" else numpy_maml.adapted(weights, x, y, ALPHA, 3)[-1]
        for x, y in joined
    ]
    expected = [w - np.mean(of_tasks, axis=0) for w, of_tasks in zip(weights, zip(*phis, strict=True), strict=True)]
    assert largest_difference(gradients, expected) <= 1e-11


def test_the_steps_of_a_graph_are_traced_once_and_equal_eager_ones(problem, monkeypatch):
    model, weights, _, batch = problem
    learner = mt.methods.Reptile(model, "mse", ALPHA, 3, vectorized=False)
    theta, calls, set_loss = [*map(tf.constant, weights)], [], learner.set_loss
    eager = learner.adapted_params(theta, batch.support_x[0], batch.support_y[0], 30)[-1]
    monkeypatch.setattr(learner, "set_loss", lambda *arguments: calls.append(1) or set_loss(*arguments))
    adapted = tf.function(lambda x, y: learner.adapted_params(theta, x, y, 30)[-1], autograph=False)
    assert largest_difference(adapted(batch.support_x[0], batch.support_y[0]), eager) <= 1e-12
    assert len(calls) < 30


def test_one_step_is_the_direction_of_joint_training(problem):
    model, weights, _, batch = problem
    theta = [*map(tf.constant, weights)]
    reptile = mt.methods.Reptile(model, "mse", ALPHA, 1, optimizer="sgd")
    joined = [tf.concat([a, b], 1) for a, b in (batch[::2], batch[1::2])]
    _, expected = JointTraining(model, "mse").meta_gradient(theta, mt.TaskBatch(*joined, *joined))
    assert largest_difference(reptile.meta_gradient(theta, batch)[1], [ALPHA * g for g in expected]) <= 1e-12


def test_mini_batches_are_the_same_in_every_execution_and_other_ones_for_another_seed(problem):
    model, weights, _, batch = problem
    theta, found = [*map(tf.constant, weights)], {}
    for vectorized in (True, False):
        learner = mt.methods.Reptile(model, "mse", ALPHA, 4, mini_batch=3, vectorized=vectorized)
        found[vectorized] = [learner.meta_gradient(theta, batch, seed)[1] for seed in ((0, 1), (0, 2))]
    for one, other in zip(found[True], found[False], strict=True):
        assert largest_difference(one, other) <= 1e-12
    assert largest_difference(found[True][0], found[True][1]) > 1e-3


def test_a_mini_batch_has_different_rows(problem):
    learner = mt.methods.Reptile(problem[0], "mse", ALPHA, 1, mini_batch=4)
    rows = tf.range(6)
    drawn = [learner._mini_batch(rows, (3, 4), step, False).numpy().tolist() for step in range(20)]
    assert all(len(set(batch)) == 4 for batch in drawn)
    assert {row for batch in drawn for row in batch} == set(range(6))
    assert len({tuple(sorted(batch)) for batch in drawn}) > 5
    assert learner._mini_batch(tf.range(4), (3, 4), 0, False) is not None
    whole = tf.range(4)
    assert learner._mini_batch(whole, (3, 4), 0, False) is whole


def test_the_validation_loss_is_that_of_the_query_set(problem):
    model, weights, tasks, batch = problem
    learner = mt.methods.Reptile(model, "mse", ALPHA, 2, optimizer="sgd")
    step = learner.meta_step([*map(tf.constant, weights)], batch, training=False)
    assert float(step.loss) == pytest.approx(numpy_maml.meta_loss(weights, tasks, ALPHA, 2), rel=1e-12)
    assert all(float(tf.reduce_max(tf.abs(g))) == 0 for g in step.gradients)


def test_a_keras_model_with_dropout_and_running_statistics(problem):
    layers = [
        keras.layers.Dense(3),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((2,)), *layers])
    learner = mt.methods.Reptile(model, "mse", ALPHA, 2, mini_batch=4, batch_norm="running")
    batch = mt.TaskBatch(*(tf.cast(part, tf.float32) for part in problem[3]))
    theta = learner.initial_params()
    first, again, other = (learner.meta_step(theta, batch, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert [g.shape for g in first.gradients] == [p.shape for p in theta]
    assert [s.shape for s in first.state] == [v.shape for v in model.non_trainable_variables[:2]]
    assert np.abs(first.state[0]).max() > 0  # the running means have moved
    assert largest_difference(first.gradients, again.gradients) == 0
    assert largest_difference(first.gradients, other.gradients) > 1e-4


def test_predictions_one_at_a_time_depend_on_no_other_query():
    keras.utils.set_random_seed(0)
    learner = mt.methods.Reptile(mt.models.MLP(2, (4,), 3, batch_norm=True), mt.losses.mean_cross_entropy, 0.1, 1)
    theta = [p + 0.3 for p in learner.initial_params()]
    rng = np.random.default_rng(0)
    support, query = (tf.constant(rng.normal(size=(n, 2)), tf.float32) for n in (5, 4))
    predict = one_at_a_time(learner)
    whole = predict(theta, support, query)
    np.testing.assert_allclose(predict(theta, support, query[1:2])[0], whole[1], rtol=1e-6)
    assert np.abs(learner.forward(theta, query) - whole).max() > 1e-3  # which is transductive
    tasks = [tf.stack([p, p]) for p in theta]  # with a task axis
    both = predict(tasks, tf.stack([support, support]), tf.stack([query, query]))
    np.testing.assert_allclose(both[1], whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps: 0 is not allowed; expected a whole number from 1"),
        ({"mini_batch": 0}, "mini_batch: 0 is not allowed; expected a whole number from 1"),
        ({"optimizer": "adamw"}, "optimizer: 'adamw' is not allowed; expected 'adam' or 'sgd'"),
        ({"adaptable": lambda variable: False}, "adaptable: it chooses none of the weights"),
    ],
)
def test_arguments_that_are_not_allowed(problem, options, message):
    with pytest.raises(UsageError, match=message):
        mt.methods.Reptile(problem[0], "mse", ALPHA, **({"num_steps": 1} | options))
