"""What a training is given, checked on its first tasks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.errors import UsageError
from maml_tf.evaluation.evaluate import evaluate
from maml_tf.meta.entrance import check_tasks
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.tasks.numpy_tasks import NumPyTasks
from maml_tf.training.train import train

GENERATOR = np.random.default_rng(0)


@pytest.fixture(scope="module")
def learner():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)], name="net")
    return MAML(model, "mean_cross_entropy", 0.1, 1)


def tasks(sample):
    return type("Tasks", (TaskDistribution,), {"sample": lambda self, seed, n: sample(seed, n)})()


def batch(x, y):
    return TaskBatch(x, y, x, y)


def inputs(seed, n, width=2):
    return tf.random.stateless_normal([n, 4, width], seed)


def labels(n, dtype=tf.int32):
    return tf.tile(tf.constant([[0, 1, 2, 0]], dtype), [n, 1])


@pytest.mark.parametrize("dtype", [tf.int32, tf.uint8, tf.float64])
def test_tasks_that_fit_pass_without_a_word(learner, dtype, recwarn):
    check_tasks(learner, tasks(lambda seed, n: batch(inputs(seed, n), labels(n, dtype))))
    assert not [warning for warning in recwarn if "tasks" in str(warning.message)]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (lambda seed, n: (inputs(seed, n), labels(n)) * 2, "tasks: the tasks are a tuple; expected mt.TaskBatch"),
        (lambda seed, n: None, "tasks: the tasks are a NoneType; expected"),
        (
            lambda seed, n: TaskBatch(inputs(seed, n), labels(n), inputs(seed, 1), labels(1)),
            r"the parts of a TaskBatch have \[2, 2, 1, 1\] tasks",
        ),
        (lambda seed, n: batch(inputs(seed, n, 3), labels(n)), r"the model net fails on support_x of a task, of shape"),
        (lambda seed, n: batch(inputs(seed, n), labels(n) + 5), "support_y of a task: .*labels: 5 is not allowed"),
        (lambda seed, n: batch(inputs(seed, n), labels(n)[:, :3]), r"support_y of a task: .*labels of shape \[3\]"),
        (
            lambda seed, n: TaskBatch(*batch(inputs(seed, n), labels(n))[:3], labels(n) - 1),
            "query_y of a task: .*labels: -1 is not allowed",
        ),
        (
            lambda seed, n: batch(np.random.normal(size=(n, 4, 2)).astype("f"), labels(n)),
            "`sample` draws random numbers that do not come from its seed.*mt.tasks.NumPyTasks",
        ),
        (
            lambda seed, n: batch(GENERATOR.normal(size=(n, 4, 2)).astype("f"), labels(n)),
            "`sample` draws random numbers that do not come from its seed",
        ),
        (
            lambda seed, n: batch(np.random.default_rng(np.asarray(seed)).normal(size=(n, 4, 2)), labels(n)),
            "`sample` cannot be compiled",
        ),
        (
            lambda seed, n: batch(np.random.default_rng(seed.numpy()).normal(size=(n, 4, 2)), labels(n)),
            "`sample` cannot be compiled",
        ),
    ],
    ids=[
        "tuple",
        "none",
        "tasks",
        "inputs",
        "label 5",
        "few labels",
        "label -1",
        "NumPy",
        "generator",
        "array",
        "numpy",
    ],
)
def test_tasks_that_do_not_fit_are_named(learner, sample, message):
    with pytest.raises(UsageError, match=message):
        check_tasks(learner, tasks(sample))


def test_a_sample_that_ignores_its_seed_is_warned_of(learner):
    for sample in (
        lambda seed, n: batch(inputs((1, 2), n), labels(n)),
        lambda seed, n: batch(np.random.default_rng(0).normal(size=(n, 4, 2)).astype("f"), labels(n)),
    ):
        with pytest.warns(UserWarning, match="every seed gives the same tasks"):
            check_tasks(learner, tasks(sample))


def test_tensorflows_own_randomness_is_warned_of(learner):
    with pytest.warns(UserWarning, match="the same seed gives other tasks.*cannot be repeated or resumed"):
        check_tasks(learner, tasks(lambda seed, n: batch(tf.random.normal([n, 4, 2]), labels(n))))


def test_a_function_of_numpy_that_does_not_use_its_generator_is_warned_of(learner):
    x, y = np.zeros((4, 2), np.float32), np.array([0, 1, 2, 0])
    with pytest.warns(UserWarning, match="every seed gives the same tasks"):
        check_tasks(learner, NumPyTasks(lambda rng: (x, y, x, y)))
    with pytest.warns(UserWarning, match="not all random numbers come from `rng`"):
        check_tasks(learner, NumPyTasks(lambda rng: (x + GENERATOR.normal(), y, x, y)))


@pytest.mark.parametrize("wrong", [lambda seed, n: None, NumPyTasks, None, "omniglot"], ids=str)
def test_what_is_no_distribution_is_named(learner, wrong):
    with pytest.raises(UsageError, match=r"tasks: .* is not allowed; expected a mt.TaskDistribution"):
        check_tasks(learner, wrong)
    with pytest.raises(UsageError, match=r"learner: .* is not allowed; expected a learner"):
        check_tasks(wrong, tasks(lambda seed, n: batch(inputs(seed, n), labels(n))))


def test_tasks_of_unequal_sizes_are_run_one_by_one():
    learner = MAML(MLP(2, (4,), 3), "mean_cross_entropy", 0.1, 1, vectorized=True)
    ragged = NumPyTasks(lambda rng: 2 * (rng.normal(size=(n := rng.integers(1, 20), 2)), np.zeros(n, int)))
    with pytest.raises(UsageError, match=r"^tasks: the tasks differ .* pass vectorized=False to the learner"):
        check_tasks(learner, ragged)
    with pytest.raises(UsageError, match="pass vectorized=False to the learner"):
        learner.meta_gradient(learner.initial_params(), ragged.sample((0, 1), 3))


def test_a_learner_that_may_choose_runs_unequal_tasks_one_by_one(eagerly):
    model = MLP(2, (4,), 3)
    chosen, asked = (MAML(model, "mean_cross_entropy", 0.1, 1, vectorized=choice) for choice in (None, False))
    assert chosen.task_execution.vectorized
    ragged = NumPyTasks(lambda rng: 2 * (rng.normal(size=(n := rng.integers(1, 20), 2)), np.zeros(n, int)))
    batch = ragged.sample((0, 1), 3)
    found, expected = (tf.nest.flatten(m.meta_step(m.initial_params(), batch)) for m in (chosen, asked))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    found, expected = (
        train(m, ragged, iterations=1, batch_size=2, validation_tasks=ragged, num_validation_tasks=2)
        for m in (chosen, asked)
    )
    assert found.losses == expected.losses
    assert found.validations == expected.validations
    assert evaluate(chosen, ragged, num_tasks=3).query.shape == (3, 2)
    assert chosen.task_execution.vectorized  # as it was
    with pytest.raises(UsageError, match=r"^tasks: the tasks differ .*JointTraining trains on all of them as one"):
        check_tasks(JointTraining(model, "mean_cross_entropy"), ragged)
