"""The meta-update by Adam against its formula."""

import functools

import keras
import numpy as np

from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.maml_adam import MAMLAdam
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.training.adam import Adam


def test_the_first_step_has_the_learning_rates_length_along_the_surrogate_losss_gradient(eagerly):
    keras.utils.set_random_seed(0)
    learner = MAMLAdam(GaussianPolicy(2, 2, (8, 8)), 0.5, Adam(0.01))
    sampler = Sampler(functools.partial(PointNavigation, max_episode_steps=20), 4, 3)
    goals = PointNavigation.goal_distribution.sample(np.random.default_rng(0), 4)
    start = learner.initial_state()
    iteration = learner.iteration(start, sampler, goals, np.random.default_rng(1))
    assert list(iteration.metrics) == ["loss"]
    assert int(iteration.state.iteration) == 1

    steps = list(learner.adaptation(start.params, sampler, goals, [0.5], np.random.default_rng(1)))
    theta = learner.objective.flat(start.params)
    loss, gradient = learner.objective.loss_and_gradient(theta, *learner.objective.batches(steps))
    assert iteration.metrics["loss"] == float(loss)
    moved = (learner.objective.flat(iteration.state.params) - theta).numpy()
    # Adam's first step is rate x g / (|g| + 1e-8 / sqrt(1 - 0.999)).
    expected = -0.01 * gradient / (np.abs(gradient) + 1e-8 / np.sqrt(0.001))
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-7)
