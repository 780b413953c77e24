"""Meta-SGD: its meta-gradient is right, and with every step size equal to alpha it is MAML."""

import numpy as np
import tensorflow as tf
from helpers import finite_differences, largest_difference

import maml_tf as mt


def small_problem(**options):
    """A learner in float64, theta with different step sizes, and two tasks."""
    model = mt.models.MLP(1, (3,), 1, dtype="float64")
    learner = mt.MAML(model, mt.losses.mean_squared_error, step_size=0.1, num_steps=2, **options)
    rng = np.random.default_rng(0)
    theta = [rng.uniform(0.05, 1.0, p.shape) for p in learner.initial_params()]
    return learner, theta, mt.TaskBatch(*(tf.constant(rng.normal(size=(2, n, 1))) for n in (4, 4, 3, 3)))


def test_the_meta_gradient_equals_finite_differences():
    learner, theta, batch = small_problem(inner_update=mt.methods.MetaSGD())
    loss = tf.function(lambda *moved: learner.meta_step(list(moved), batch).loss, autograph=False)
    _, gradients = learner.meta_gradient([*map(tf.constant, theta)], batch)
    expected = finite_differences(lambda moved: loss(*map(tf.constant, moved)), theta)
    assert len(theta) == 8
    assert largest_difference(gradients, expected) <= 1e-7


def test_with_step_sizes_equal_to_alpha_it_is_maml():
    learner, theta, batch = small_problem(inner_update=mt.methods.MetaSGD())
    weights = [*map(tf.constant, theta[:4])]
    _, gradients = learner.meta_gradient([*weights, *learner.initial_params()[4:]], batch)
    _, expected = small_problem()[0].meta_gradient(weights, batch)
    assert largest_difference(gradients[:4], expected) <= 1e-13
