"""MAML++: each part alone and all together against finite differences, and MAML where all of them are off."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import finite_differences, largest_difference

import maml_tf as mt
from maml_tf.errors import UsageError
from maml_tf.methods.maml_plus_plus import MAMLPlusPlus
from maml_tf.models.batch_norm import given_statistics, recorded_statistics

pytestmark = pytest.mark.usefixtures("plain_graphs")
STEPS = 2
PARTS = {
    "multi-step loss": {"multi_step_loss": 4},
    "derivative order": {"first_order_iterations": 1},
    "step sizes": {"step_sizes": True},
    "norm weights": {"norm_weights": True},
    "norm statistics": {"norm_statistics": True},
}
ALL = {key: value for part in PARTS.values() for key, value in part.items()}


@pytest.fixture(scope="module")
def model():
    """A network of float64 with batch norm and its scale."""
    return mt.models.MLP(1, (3,), 1, batch_norm=True, dtype="float64", norm_scale=True)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return mt.TaskBatch(*(tf.constant(rng.normal(size=(3, n, 1))) for n in (5, 5, 4, 4)))


def learner_and_theta(model, iterations=1, **options):
    """A learner, and theta with weights of ordinary size after a number of meta-iterations."""
    learner = MAMLPlusPlus(model, "mse", 0.1, STEPS, **options)
    rng = np.random.default_rng(1)
    theta = [tf.constant(rng.uniform(0.05, 1.0, p.shape)) for p in learner.initial_params()]
    for index, name in enumerate(learner.param_names):
        if name in ("meta_iterations", "inner_steps"):
            theta[index] = tf.constant(float(iterations if name == "meta_iterations" else 0), tf.float64)
    return learner, theta


@pytest.mark.parametrize("options", [{"vectorized": True}, {"vectorized": False}, {"low_rank_updates": True}], ids=str)
def test_with_everything_off_it_is_maml_to_the_bit(model, batch, options):
    learner, theta = learner_and_theta(model, **options)
    maml = mt.MAML(model, "mse", 0.1, STEPS, **options)
    assert learner.param_names == maml.param_names
    for found, expected in zip(learner.meta_step(theta, batch), maml.meta_step(theta, batch), strict=True):
        for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("part", ["multi-step loss", "step sizes", "norm weights", "all"])
def test_the_meta_gradient_equals_finite_differences(model, batch, part):
    learner, theta = learner_and_theta(model, **(ALL if part == "all" else PARTS[part]))
    count = len(theta) - learner.num_state
    step = tf.function(lambda *moved: learner.meta_step([*moved, *theta[count:]], batch)[:2], autograph=False)
    gradients = step(*theta[:count])[1]
    expected = finite_differences(lambda moved: step(*map(tf.constant, moved))[0], [p.numpy() for p in theta[:count]])
    assert largest_difference(gradients[:count], expected) <= 1e-7
    assert all(float(tf.reduce_max(tf.abs(g))) == 0 for g in gradients[count:])


def test_both_executions_agree(model, batch):
    found = []
    for vectorized in (True, False):
        learner, theta = learner_and_theta(model, **ALL, vectorized=vectorized)
        found.append(learner.meta_step(theta, batch))
    assert largest_difference(found[0].gradients, found[1].gradients) <= 1e-12
    assert largest_difference(found[0].state, found[1].state) <= 1e-12


def test_the_shares_of_the_multi_step_loss(model):
    learner = MAMLPlusPlus(model, "mse", 0.1, 5, multi_step_loss=100)
    shares = {at: np.array(learner.loss_shares(tf.constant(at, tf.float64))) for at in (0.0, 50.0, 99.0, 100.0, 5000.0)}
    np.testing.assert_allclose(shares[0.0], [0.2] * 5)
    np.testing.assert_allclose(shares[50.0], [0.1] * 4 + [0.6])
    np.testing.assert_allclose(shares[99.0], [0.03 / 5] * 4 + [1 - 4 * 0.03 / 5])
    for later in (100.0, 5000.0):
        np.testing.assert_array_equal(shares[later], [0, 0, 0, 0, 1])


def test_the_second_derivatives_come_in_after_the_first_iterations(model, batch):
    gradients = {}
    for first_order in (True, False):
        maml = mt.MAML(model, "mse", 0.1, STEPS, first_order=first_order)
        gradients[first_order] = maml.meta_gradient(learner_and_theta(model)[1], batch)[1]
    for iterations in (0, 1, 2, 3):
        learner, theta = learner_and_theta(model, iterations, first_order_iterations=2)
        step = learner.meta_step(theta, batch)
        assert largest_difference(step.gradients[:-1], gradients[iterations < 2]) <= 1e-13
        assert float(step.state[-1]) == iterations + 1
    assert largest_difference(gradients[True], gradients[False]) > 1e-3


def test_step_sizes_are_those_of_the_layer_and_the_step(model):
    learner, theta = learner_and_theta(model, step_sizes=True)
    assert learner.param_names[6:] == ["dense_1/step_sizes", "output/step_sizes"]
    x = tf.constant(np.random.default_rng(2).normal(size=(5, 1)))
    path = list(learner.inner_steps(theta, (x, x), num_steps=3))
    for step, (before, after) in enumerate(itertools.pairwise(path)):
        with tf.GradientTape() as tape:
            tape.watch(before)
            loss, _ = learner.set_loss(learner.parts(before)[0], (x, x), [], False)
        gradients = tape.gradient(loss, before[:6])
        sizes = [float(theta[6 if index < 4 else 7][min(step, 1)]) for index in range(6)]
        for name, a, b, g, size in zip(learner.param_names, before, after, gradients, sizes, strict=False):
            moved = np.zeros_like(a) if name.endswith(("beta", "gamma")) else size * g
            np.testing.assert_allclose(a - b, moved, atol=1e-14)


def test_the_norms_weights_are_those_of_the_number_of_steps_taken(model):
    learner, theta = learner_and_theta(model, norm_weights=True)
    names = learner.param_names
    x = tf.constant(np.random.default_rng(2).normal(size=(5, 1)))
    path = list(learner.inner_steps(theta, (x, x), num_steps=4))
    for of in ("beta", "gamma"):
        first, later = theta[names.index(f"norm_1/{of}")], theta[names.index(f"norm_1/{of}/after_steps")]
        found = [after[names.index(f"norm_1/{of}")].numpy() for after in path]
        np.testing.assert_array_equal(found, [first, later[0], later[1], later[1], later[1]])


def test_running_statistics_are_kept_and_used_for_every_number_of_steps(model, batch):
    learner, theta = learner_and_theta(model, norm_statistics=True)
    names = learner.param_names
    mean_at, variance_at = (names.index(f"norm_1/running_{of}") for of in ("mean", "variance"))
    after = learner.meta_step(theta, batch).state
    seen = []  # of each task the means of the batches with 0, 1 and 2 steps taken: support, support, query
    for task in range(3):
        support, query = (batch[0][task], batch[1][task]), (batch[2][task], batch[3][task])
        of_task = []
        for steps, theta_k in enumerate(learner.inner_steps(theta, support)):
            with recorded_statistics() as recorded:
                mt.MAML(model, "mse", 0.1, 1).forward(theta_k[:6], (query if steps == STEPS else support)[0])
            of_task.append([np.reshape(part, -1) for part in recorded["norm_1"]])
        seen.append(of_task)
    expected = np.mean(seen, axis=0)  # [steps + 1, 2, channels]
    first = len(names) - learner.num_state
    np.testing.assert_allclose(after[mean_at - first], 0.9 * theta[mean_at] + 0.1 * expected[:, 0], rtol=1e-12)
    np.testing.assert_allclose(after[variance_at - first], 0.9 * theta[variance_at] + 0.1 * expected[:, 1], rtol=1e-12)
    x = batch[2][0]
    for steps, theta_k in enumerate(learner.inner_steps(theta, (batch[0][0], batch[1][0]))):
        mean, variance = (tf.reshape(theta[at][steps], [1, 3]) for at in (mean_at, variance_at))
        with given_statistics({"norm_1": (mean, variance)}):
            predictions = mt.MAML(model, "mse", 0.1, 1).forward(theta_k[:6], x)
        np.testing.assert_allclose(learner.forward(theta_k, x), predictions, rtol=1e-12)


def test_a_keras_model_has_all_parts_but_the_statistics():
    layers = [
        keras.layers.Dense(3),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1),
    ]
    user = keras.Sequential([keras.Input((1,)), *layers])
    parts = ALL | {"norm_statistics": False}
    learner = MAMLPlusPlus(user, "mse", 0.1, STEPS, batch_norm="running", **parts)
    rng = np.random.default_rng(0)
    batch = mt.TaskBatch(*(tf.constant(rng.normal(size=(2, n, 1)), tf.float32) for n in (5, 5, 4, 4)))
    step = learner.meta_step(learner.initial_params(), batch, (1, 2))
    assert [g.shape for g in step.gradients] == [p.shape for p in learner.initial_params()]
    assert [s.shape for s in step.state] == [[3], [3], []]
    adapted = learner.adapt(batch[0][0], batch[1][0])
    assert adapted.evaluate(batch[2][0], batch[3][0]) > 0
    with pytest.raises(UsageError, match="norm_statistics: not allowed for"):
        MAMLPlusPlus(user, "mse", 0.1, STEPS, norm_statistics=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"multi_step_loss": -1}, "multi_step_loss: -1 is not allowed"),
        (
            {"first_order_iterations": 2, "first_order": True},
            "first_order_iterations: not allowed with first_order=True",
        ),
        ({"step_sizes": True, "inner_update": mt.methods.MetaSGD()}, "inner_update: not allowed with step_sizes"),
        ({"multi_step_loss": 3, "low_rank_updates": True}, "low_rank_updates: not allowed with multi_step_loss"),
        ({"multi_step_loss": 3, "training": False}, "training: False is not allowed with multi_step_loss"),
        (
            {"norm_weights": True, "adaptable": lambda variable: True},
            "norm_weights: not allowed where the inner loop ada",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(model, options, message):
    with pytest.raises(UsageError, match=message):
        MAMLPlusPlus(model, "mse", 0.1, STEPS, **options)


def test_a_model_without_norms_has_no_weights_of_norms():
    plain = mt.models.MLP(1, (3,), 1)
    with pytest.raises(UsageError, match=r"norm_weights: .* has no norm with a weight named beta or gamma"):
        MAMLPlusPlus(plain, "mse", 0.1, STEPS, norm_weights=True)
    with pytest.raises(UsageError, match="norm_statistics: not allowed for"):
        MAMLPlusPlus(plain, "mse", 0.1, STEPS, norm_statistics=True)


def test_statistics_cannot_go_into_an_adapted_model(model, batch):
    learner, theta = learner_and_theta(model, norm_statistics=True)
    with pytest.raises(UsageError, match="norm_statistics: True is not allowed in adapt"):
        learner.adapt(batch[0][0], batch[1][0], params=theta)
    with pytest.raises(UsageError, match="norm_statistics: True is not allowed in export"):
        learner.export("nowhere", batch[0][0], batch[1][0])
