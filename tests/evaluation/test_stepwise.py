"""Scores after each gradient step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks


def evaluation(vectorized=True, eval_batch_size=3, num_steps=2):
    keras.utils.set_random_seed(3)
    learner = MAML(MLP(1, (8,), 1), mean_squared_error, 0.05, 1, vectorized=vectorized)
    tasks = SinusoidTasks(4, 6)
    return (
        learner,
        tasks,
        Evaluation(learner, tasks, mean_squared_error, num_steps=num_steps, eval_batch_size=eval_batch_size),
    )


@pytest.mark.parametrize("vectorized", [True, False])
def test_column_0_is_the_support_set_before_and_the_others_the_query_set_after_each_step(vectorized):
    learner, tasks, evaluate = evaluation(vectorized)
    params = [
        tf.constant(np.random.default_rng(0).normal(size=tuple(p.shape)), tf.float32) for p in learner.initial_params()
    ]
    scores = evaluate(params, seed=(1, 1), num_tasks=6, step_size=0.02)
    assert scores.shape == (6, 3)
    for index in range(2):
        batch = tasks.sample(tf.random.fold_in(tf.constant((1, 1)), index, alg="philox"), 3)
        for task in range(3):
            support_x, support_y, query_x, query_y = (tensor[task] for tensor in batch)
            expected = [mean_squared_error(support_y, functional_call(learner.model, params, support_x))]
            for adapted in learner.adapted_params(params, support_x, support_y, 2, 0.02)[1:]:
                expected.append(mean_squared_error(query_y, functional_call(learner.model, adapted, query_x)))
            np.testing.assert_allclose(scores[3 * index + task], expected, rtol=1e-4)


def test_the_tasks_are_fixed_and_the_step_size_is_the_learners_by_default(eagerly):
    learner, _, evaluate = evaluation()
    params = [p + 0.3 for p in learner.initial_params()]
    first = evaluate(params, seed=(1, 1), num_tasks=6)
    np.testing.assert_array_equal(first, evaluate(params, seed=(1, 1), num_tasks=6))
    np.testing.assert_array_equal(first, evaluate(params, seed=(1, 1), num_tasks=6, step_size=0.05))
    assert not np.array_equal(first, evaluate(params, seed=(1, 2), num_tasks=6))


def test_a_last_batch_is_cut(eagerly):
    learner, _, evaluate = evaluation()
    params = learner.initial_params()
    np.testing.assert_array_equal(
        evaluate(params, seed=(1, 1), num_tasks=4), evaluate(params, seed=(1, 1), num_tasks=6)[:4]
    )


def test_the_last_step_alone(eagerly):
    learner, tasks, evaluate = evaluation()
    last = Evaluation(learner, tasks, mean_squared_error, num_steps=2, eval_batch_size=3, last_step_only=True)
    params = learner.initial_params()
    np.testing.assert_allclose(
        last(params, seed=(1, 1), num_tasks=3), evaluate(params, seed=(1, 1), num_tasks=3)[:, -1:], rtol=1e-5
    )
