"""Summaries over tasks and seeds, and what a decreasing row of numbers is."""

import numpy as np

from maml_tf.experiments.run import robust_statistics, scores_of_tasks, summarise
from reproduce.comparison.claims import _decreasing


def test_means_are_over_tasks_and_seeds_and_intervals_over_tasks():
    scores = [np.array([[0.0, 10.0], [2.0, 20.0]]), np.array([[4.0, 30.0], [10.0, 30.0]])]
    curve = summarise(scores)
    assert curve.grad_steps == (0, 1)
    assert curve.per_seed == ((1.0, 15.0), (7.0, 30.0))
    assert curve.mean == (4.0, 22.5)
    half_widths = 1.96 * np.array([[1.0, 5.0], [3.0, 0.0]]) / np.sqrt(2)
    np.testing.assert_allclose(curve.ci95, half_widths.mean(axis=0))


def test_equal_numbers_do_not_decrease():
    assert _decreasing([3.0, 2.0, 1.0])
    assert not _decreasing([3.0, 2.0, 2.0])
    assert not _decreasing([1.0, 2.0])


def test_robust_statistics_are_over_all_tasks_and_seeds():
    scores = [np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 6.0]]), np.array([[1.0, 8.0], [1.0, np.nan], [1.0, 500.0]])]
    found = robust_statistics(scores, diverged_above=100.0)
    assert found.median == (1.0, 7.0)
    assert found.iqm == (1.0, 129.5)  # of 2, 4, 6, 8, 500 and one that diverged: 4, 6, 8 and 500
    assert found.diverged == (0.0, 2 / 6)
    assert (found.iqm_low[0], found.iqm_high) == (1.0, (1.0, np.inf))
    assert scores_of_tasks(scores)[0] == ((1.0, 2.0), (1.0, 4.0), (1.0, 6.0))
