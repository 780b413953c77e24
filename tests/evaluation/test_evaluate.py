"""The evaluation that users call."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.errors import UsageError
from maml_tf.evaluation.evaluate import Scores, evaluate
from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.random import TEST_TASKS
from maml_tf.tasks.sinusoid import SinusoidTasks

TASKS = SinusoidTasks(4, 6)
pytestmark = pytest.mark.usefixtures("eagerly")  # tests/evaluation/test_stepwise.py compiles an evaluation


@pytest.fixture(scope="module")
def learner():
    keras.utils.set_random_seed(3)
    return MAML(MLP(1, (8,), 1), mean_squared_error, 0.05, 1)


def test_the_learner_says_what_is_not_given(learner):
    scores = evaluate(learner, TASKS, num_tasks=5)
    assert scores.scores.shape == (5, 2)
    evaluation = Evaluation(learner, TASKS, mean_squared_error, num_steps=1, eval_batch_size=5)
    expected = evaluation(learner.initial_params(), seed=TEST_TASKS, num_tasks=5, step_size=0.05)
    np.testing.assert_allclose(scores.scores, expected, rtol=1e-5)


def test_what_is_given_is_used(learner):
    params = [p + 0.1 for p in learner.initial_params()]

    def absolute_error(labels, predictions):
        return tf.reduce_mean(tf.abs(labels - predictions), axis=(-2, -1))

    scores = evaluate(
        learner, TASKS, params=params, num_tasks=4, num_steps=2, metric=absolute_error, step_size=0.01, seed=(5, 6)
    )
    evaluation = Evaluation(learner, TASKS, absolute_error, num_steps=2, eval_batch_size=4)
    expected = evaluation(params, seed=(5, 6), num_tasks=4, step_size=0.01)
    np.testing.assert_allclose(scores.scores, expected, rtol=1e-5)


@pytest.mark.parametrize("vectorized", [True, False])
def test_both_sets_are_scored_after_every_step(learner, vectorized):
    learner = MAML(learner.model, mean_squared_error, 0.05, 2, vectorized=vectorized)
    scores = evaluate(learner, TASKS, num_tasks=2)
    batch = TASKS.sample(tf.random.fold_in(tf.constant(TEST_TASKS), 0, alg="philox"), 2)
    for task in range(2):
        support_x, support_y, query_x, query_y = (part[task] for part in batch)
        after = learner.adapted_params(learner.initial_params(), support_x, support_y)
        for found, x, y in ((scores.support, support_x, support_y), (scores.query, query_x, query_y)):
            np.testing.assert_allclose(
                found[task], [mean_squared_error(y, learner.forward(p, x)) for p in after], rtol=1e-4
            )


def test_columns_means_and_intervals_have_names():
    scores = Scores(np.array([[4.0, 1.0], [2.0, 3.0]], np.float32), np.array([[5.0, 1.0], [5.0, 3.0]], np.float32))
    np.testing.assert_array_equal(scores.scores, [[4.0, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(scores.support_before_adaptation, [4.0, 2.0])
    np.testing.assert_array_equal(scores.query_after_steps, [[1.0], [3.0]])
    np.testing.assert_array_equal(scores.mean, [3.0, 2.0])
    np.testing.assert_array_equal(scores.support_mean, [3.0, 2.0])
    np.testing.assert_array_equal(scores.query_mean, [5.0, 2.0])
    np.testing.assert_allclose(scores.ci95, [1.96 / np.sqrt(2), 1.96 / np.sqrt(2)])
    np.testing.assert_allclose(scores.support_ci95, [1.96 / np.sqrt(2), 1.96 / np.sqrt(2)])
    np.testing.assert_allclose(scores.query_ci95, [0.0, 1.96 / np.sqrt(2)])
    assert str(scores).splitlines() == [
        "2 tasks, mean and 95 % interval",
        "gradient steps  support set       query set",
        "0               3 ± 1.4           5 ± 0",
        "1               2 ± 1.4           2 ± 1.4",
    ]


def test_accuracies_have_wilsons_interval_beside_the_papers():
    query = np.array([[0.0, 1.0], [1.0, 1.0]])
    scores = Scores(query, query, are_accuracies=True)
    np.testing.assert_allclose(scores.query_wilson95, [[0.0945, 0.3424], [0.9055, 1.0]], atol=1e-4)
    np.testing.assert_array_equal(scores.support_wilson95, scores.query_wilson95)
    assert str(scores).splitlines() == [
        "2 tasks, mean and 95 % interval (Wilson's in brackets)",
        "gradient steps  support set                    query set",
        "0               0.5 ± 0.69 (0.0945 to 0.9055)  0.5 ± 0.69 (0.0945 to 0.9055)",
        "1               1 ± 0 (0.3424 to 1.0000)       1 ± 0 (0.3424 to 1.0000)",
    ]
    percent = Scores(100 * query, 100 * query, are_accuracies=True)
    assert "Wilson" not in str(percent)
    with pytest.raises(ValueError, match=r"expected 0\.\.1"):
        percent.query_wilson95  # noqa: B018 - the property raises


def test_accuracies_are_told_by_the_metrics_name(learner):
    def my_accuracy(labels, predictions):
        return tf.reduce_mean(tf.cast(tf.abs(labels - predictions) < 1, tf.float32))

    assert evaluate(learner, TASKS, num_tasks=1, metric=my_accuracy).are_accuracies
    assert not evaluate(learner, TASKS, num_tasks=1).are_accuracies


@pytest.mark.parametrize("metric", ["mae", keras.losses.MeanAbsoluteError(), lambda y, p: tf.abs(y - p)], ids=str)
def test_any_metric_scores_the_tasks(learner, metric):
    def absolute_error(labels, predictions):
        return tf.reduce_mean(tf.abs(labels - predictions))

    found, expected = (evaluate(learner, TASKS, num_tasks=3, metric=one) for one in (metric, absolute_error))
    np.testing.assert_allclose(found.query, expected.query, rtol=1e-5)


def test_wrong_tasks_metrics_and_parameters_are_named(learner):
    for arguments, message in (
        ({"metric": "acuracy"}, "metric: 'acuracy' is not known"),
        ({"metric": keras.metrics.MeanSquaredError()}, "metric: MeanSquaredError is a Keras metric with a state"),
        ({"tasks": TASKS.sample((1, 2), 3)}, "tasks: a TaskBatch is not allowed; expected a mt.Task"),
        ({"params": learner.initial_params()[:2]}, "params: 2 arrays are given, theta has 4"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(learner, **{"tasks": TASKS, "num_tasks": 2} | arguments)


def test_what_cannot_be_evaluated_is_refused(learner):
    with pytest.raises(TypeError, match="JointTraining does not: evaluate a MAML around the same model"):
        evaluate(JointTraining(learner.model, mean_squared_error), TASKS)


@pytest.mark.parametrize(
    ("argument", "values", "allowed"),
    [
        ("num_tasks", (0, -1, 2.5, True, "3", np.nan), "a whole number from 1"),
        ("eval_batch_size", (0, 2.5, False), "a whole number from 1"),
        ("num_steps", (-1, 1.5, True, "2"), "a whole number from 0"),
        ("step_size", (np.nan, -0.1, np.inf, "0.1", True, [0.1]), "one number from 0"),
        ("seed", ((1,), 5, "12", (1, 2, 3), None, {1: 2}), "two whole numbers"),
        ("seed", ((-1, 2), (2**40, 1), (1.5, 1), (True, 1), np.array([1.0, 2.0])), "a whole number from 0 to 2"),
    ],
)
def test_arguments_out_of_range_are_refused(learner, argument, values, allowed):
    for value in values:
        with pytest.raises(UsageError, match=rf"{argument}.* is not allowed; expected {allowed}"):
            evaluate(learner, TASKS, **{"num_tasks": 2, argument: value})


def test_parameters_that_are_not_finite_are_refused_and_such_scores_are_said(learner):
    params = learner.initial_params()
    with pytest.raises(UsageError, match="params: dense_1/bias has values that are not finite"):
        evaluate(learner, TASKS, num_tasks=1, params=[params[0], params[1] + np.nan, *params[2:]])

    def unlucky(labels, predictions):
        return tf.reduce_mean(labels - predictions) / tf.zeros([])

    with pytest.warns(UserWarning, match="3 of 3 tasks have a score that is not finite"):
        evaluate(learner, TASKS, num_tasks=3, num_steps=0, metric=unlucky)
