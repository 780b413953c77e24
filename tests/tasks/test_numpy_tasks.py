"""Tasks drawn by a Python function with NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.evaluation.evaluate import evaluate
from maml_tf.meta.maml import MAML
from maml_tf.tasks.base import TaskBatch
from maml_tf.tasks.numpy_tasks import NumPyTasks
from maml_tf.training.train import train


def line(rng):
    a, x = rng.uniform(1, 2), rng.uniform(-1, 1, (8, 1))
    return x[:4], a * x[:4], x[4:], a * x[4:]


def unequal(rng):
    n, a = rng.integers(2, 7), rng.uniform(1, 2)
    x, q = rng.uniform(-1, 1, (n, 1)), rng.uniform(-1, 1, (3, 1))
    return x, a * x, q, a * q


def learner():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    return MAML(model, "mse", 0.1, 1)


def test_the_seed_decides_the_tasks():
    tasks = NumPyTasks(line)
    one, same, other = (tasks.sample(seed, 3) for seed in ((1, -2), tf.constant([1, -2]), (1, 3)))
    assert one.support_x.shape == (3, 4, 1)
    assert one.support_x.dtype == tf.float32
    np.testing.assert_array_equal(one.support_x, same.support_x)
    assert not np.isin(one.support_x, other.support_x).any()
    assert len(np.unique(one.support_x)) == 12  # the tasks differ, and so do support and query
    assert not np.isin(one.support_x, one.query_x).any()


def test_a_training_draws_fresh_tasks_and_resumes_to_the_same_numbers(tmp_path, eagerly):
    seen = []

    def draw(rng):
        task = line(rng)
        seen.append(float(task[0][0, 0]))
        return task

    def stopped(params):
        raise KeyError("stopped")

    options = {"iterations": 20, "batch_size": 2, "learning_rate": 0.01, "validate_every": 10}
    whole = train(learner(), NumPyTasks(draw), validate=lambda params: 0.0, **options)
    trained_on = seen[-40:]
    assert len(set(trained_on)) == 40  # two tasks of twenty iterations: none is frozen
    with pytest.raises(KeyError, match="stopped"):
        train(learner(), NumPyTasks(line), run_dir=tmp_path, validate=stopped, **options)
    options |= {"run_dir": tmp_path, "resume": True, "validate": lambda params: 0.0}
    resumed = train(learner(), NumPyTasks(line), **options)
    for one, other in zip(whole.state.params, resumed.state.params, strict=True):
        np.testing.assert_array_equal(one, other)


def test_held_out_and_validation_tasks_may_be_drawn_with_numpy():
    checkpoint = train(
        learner(), NumPyTasks(line), iterations=4, batch_size=2, validation_tasks=NumPyTasks(line), validate_every=2
    )
    assert len(checkpoint.validations) == 2
    scores = [evaluate(learner(), NumPyTasks(line), num_tasks=5, eval_batch_size=2).scores for _ in range(2)]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda rng: line(rng)[:2], r"draw_task returned 2 parts; expected \(support_x, support_y, query_x, query_y\)"),
        (lambda rng: None, "draw_task returned a NoneType"),
        (lambda rng: (1.0, *line(rng)[1:]), "draw_task: support_x is a single number"),
        (lambda rng: (*line(rng)[:3], np.array([None])), "draw_task: query_y is no array of numbers"),
    ],
)
def test_what_is_no_task_is_named(draw, message):
    with pytest.raises(UsageError, match=message):
        NumPyTasks(draw).sample((1, 2), 2)


def test_only_a_function_draws_tasks():
    with pytest.raises(UsageError, match="draw_task: 3 is not allowed; expected a function"):
        NumPyTasks(3)
    sample = tf.function(lambda seed: NumPyTasks(line).sample(seed, 1), autograph=False)
    with pytest.raises(UsageError, match="drawn outside of compiled functions"):
        sample.get_concrete_function(tf.TensorSpec([2], tf.int32))


def test_tasks_of_unequal_sizes_give_each_its_own_loss_and_gradient():
    maml, batch = learner(), NumPyTasks(unequal).sample((1, 3), 3)
    assert batch.is_ragged
    assert batch.num_tasks == 3
    theta = maml.initial_params()
    loss, gradients = maml.meta_gradient(theta, batch)
    alone = [maml.meta_gradient(theta, TaskBatch(*(part[t][tf.newaxis] for part in batch))) for t in range(3)]
    assert float(loss) == pytest.approx(np.mean([float(value) for value, _ in alone]), rel=1e-6)
    for index, gradient in enumerate(gradients):
        np.testing.assert_allclose(gradient, np.mean([g[index] for _, g in alone], axis=0), atol=1e-6)


def test_padding_that_is_masked_changes_nothing():
    x = np.random.default_rng(0).normal(size=(2, 4, 1)).astype(np.float32)
    mask = np.array([[True, True, False, False], [True] * 4])
    garbage = np.where(mask[..., np.newaxis], x, 1e6)
    batch = TaskBatch(garbage, 2 * garbage, x, 2 * x).masked(mask, np.ones((2, 4), bool))
    expected = TaskBatch.from_tasks([(x[0, :2], 2 * x[0, :2], x[0], 2 * x[0]), (x[1], 2 * x[1], x[1], 2 * x[1])])
    maml = learner()
    losses = [float(maml.meta_gradient(maml.initial_params(), one)[0]) for one in (batch, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_tasks_of_unequal_sizes_are_trained_on_and_tested():
    checkpoint = train(learner(), NumPyTasks(unequal), iterations=3, batch_size=2)
    assert evaluate(learner(), NumPyTasks(unequal), params=checkpoint.params, num_tasks=3).scores.shape == (3, 2)
