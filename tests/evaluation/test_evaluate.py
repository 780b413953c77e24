"""The evaluation that users call."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.evaluation.evaluate import Scores, evaluate
from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.random import TEST_TASKS
from maml_tf.tasks.sinusoid import SinusoidTasks

TASKS = SinusoidTasks(4, 6)


@pytest.fixture(scope="module")
def learner():
    keras.utils.set_random_seed(3)
    return MAML(MLP(1, (8,), 1), mean_squared_error, 0.05, 1)


def test_the_learner_says_what_is_not_given(learner):
    scores = evaluate(learner, TASKS, num_tasks=5)
    assert scores.scores.shape == (5, 2)
    evaluation = Evaluation(learner, TASKS, mean_squared_error, num_steps=1, eval_batch_size=5)
    expected = evaluation(learner.initial_params(), seed=TEST_TASKS, num_tasks=5, step_size=0.05)
    np.testing.assert_array_equal(scores.scores, expected)


def test_what_is_given_is_used(learner):
    params = [p + 0.1 for p in learner.initial_params()]

    def absolute_error(labels, predictions):
        return tf.reduce_mean(tf.abs(labels - predictions), axis=(-2, -1))

    scores = evaluate(
        learner, TASKS, params=params, num_tasks=4, num_steps=2, metric=absolute_error, step_size=0.01, seed=(5, 6)
    )
    evaluation = Evaluation(learner, TASKS, absolute_error, num_steps=2, eval_batch_size=4)
    np.testing.assert_array_equal(scores.scores, evaluation(params, seed=(5, 6), num_tasks=4, step_size=0.01))


def test_columns_means_and_intervals_have_names():
    scores = Scores(np.array([[4.0, 1.0, 0.0], [2.0, 3.0, 0.0]], np.float32))
    np.testing.assert_array_equal(scores.support_before_adaptation, [4.0, 2.0])
    np.testing.assert_array_equal(scores.query_after_steps, [[1.0, 0.0], [3.0, 0.0]])
    np.testing.assert_array_equal(scores.mean, [3.0, 2.0, 0.0])
    np.testing.assert_allclose(scores.ci95, [1.96 / np.sqrt(2), 1.96 / np.sqrt(2), 0.0])
    assert "support set, before any step  3 +- 1.4" in str(scores)
    assert "query set, step 1             2 +- 1.4" in str(scores)


def test_what_cannot_be_evaluated_is_refused(learner):
    with pytest.raises(TypeError, match="JointTraining does not: evaluate a MAML around the same model"):
        evaluate(JointTraining(learner.model, mean_squared_error), TASKS)
    with pytest.raises(ValueError, match="num_tasks=0, num_steps=1, eval_batch_size=50: at least 1, 0 and 1"):
        evaluate(learner, TASKS, num_tasks=0)
