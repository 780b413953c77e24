"""The sinusoid tasks: ranges, the oracle's inputs, halves, seeds."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.tasks.sinusoid import SinusoidTasks


def test_ranges_and_values():
    tasks = SinusoidTasks(10, 5)
    batch = tasks.sample(tf.constant([1, 2]), 2000)
    amplitude, phase = (value.numpy() for value in tasks.draw_functions(tf.constant([1, 2]), 2000))
    assert batch.support_x.shape == (2000, 10, 1)
    assert batch.query_x.shape == (2000, 5, 1)
    np.testing.assert_allclose(batch.query_y, amplitude * np.sin(batch.query_x - phase), atol=2e-6)
    for values, low, high in ((amplitude, 0.1, 5.0), (phase, 0.0, np.pi), (batch.support_x.numpy(), -5.0, 5.0)):
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
    assert not any(np.isin(a, b).any() for a, b in zip(batch.support_x.numpy(), batch.query_x.numpy(), strict=True))


def test_the_oracle_sees_the_task_and_the_same_functions():
    seed = tf.constant([3, 4])
    plain, oracle = SinusoidTasks(4, 4).sample(seed, 3), SinusoidTasks(4, 4, reveal_task=True).sample(seed, 3)
    amplitude, phase = SinusoidTasks(4, 4).draw_functions(seed, 3)
    np.testing.assert_array_equal(oracle.support_x[..., :1], plain.support_x)
    np.testing.assert_array_equal(oracle.support_y, plain.support_y)
    np.testing.assert_array_equal(oracle.query_x[..., 1:], tf.tile(tf.concat([amplitude, phase], -1), [1, 4, 1]))


def test_the_functions_do_not_depend_on_how_many_points_are_drawn():
    seed = tf.constant([3, 4])
    few, many = (SinusoidTasks(K, K).draw_functions(seed, 5) for K in (5, 20))
    np.testing.assert_array_equal(few, many)


def test_halves_keep_support_and_query_apart():
    batch = SinusoidTasks(10, 50, halves=True).sample(tf.constant([5, 6]), 50)
    assert batch.support_x.numpy().min() >= 0.0 >= batch.query_x.numpy().max()


def test_same_seed_same_tasks_with_and_without_xla():
    tasks = SinusoidTasks(10, 10)
    compiled = tf.function(lambda seed: tasks.sample(seed, 4), jit_compile=True)
    a, b, c = compiled(tf.constant([1, 2])), tasks.sample(tf.constant([1, 2]), 4), tasks.sample(tf.constant([1, 3]), 4)
    np.testing.assert_allclose(a.support_x, b.support_x, atol=1e-6)
    np.testing.assert_allclose(a.support_y, b.support_y, atol=1e-5)
    assert not np.array_equal(b.support_x, c.support_x)


@pytest.mark.parametrize("sizes", [(0, 5), (-1, 5), (1.5, 5), (True, 5), (5, 0), (5, "2")])
def test_sizes_are_whole_numbers_from_1(sizes):
    with pytest.raises(UsageError, match=r"(shots|queries): .* is not allowed; expected a whole number from 1"):
        SinusoidTasks(*sizes)
