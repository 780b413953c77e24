"""Interquartile means and their bootstrap."""

import math

import numpy as np
import pytest

from maml_tf.evaluation.robust import bootstrap_interval_95, interquartile_mean


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean([100.0, 1.0, 2.0, -50.0]) == 1.5
    assert interquartile_mean(np.arange(8.0)) == np.arange(2.0, 6.0).mean()
    np.testing.assert_array_equal(interquartile_mean([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]), [2.0, 4.0])  # too few to cut


@pytest.mark.parametrize("diverged", [math.inf, math.nan])
def test_a_diverged_score_is_the_largest(diverged):
    assert interquartile_mean([diverged, 1.0, 2.0, 3.0]) == 2.5
    assert interquartile_mean([diverged, diverged, 2.0, 3.0]) == math.inf


def test_the_interval_covers_the_mean_of_what_the_scores_are_drawn_from():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        low, high = bootstrap_interval_95(rng.standard_normal((1, 40)))
        covered += low <= 0.0 <= high
    assert covered >= 50  # of 60 at a level near 0.95, fewer than 50 happen once in 10 000 times


def test_the_interval_is_over_seeds_too():
    seeds = np.repeat([[-1.0], [0.0], [1.0]], 8, axis=1)  # the tasks say nothing, the seeds all
    assert bootstrap_interval_95(seeds) == (-1.0, 1.0)
    assert bootstrap_interval_95(seeds[:1]) == (-1.0, -1.0)


def test_strata_keep_their_sizes():
    directions = np.repeat([1.0, -1.0], 20)
    low, high = bootstrap_interval_95(10 * directions[np.newaxis], directions)
    assert (low, high) == (0.0, 0.0)
    low, high = bootstrap_interval_95(10 * directions[np.newaxis])
    assert low < 0.0 < high


def test_the_same_scores_give_the_same_interval():
    scores = np.random.default_rng(1).standard_normal((3, 20))
    assert bootstrap_interval_95(scores) == bootstrap_interval_95(scores.copy())


def test_a_diverged_bound_is_infinite():
    low, high = bootstrap_interval_95([[math.inf] * 5 + [1.0] * 5])
    assert low == 1.0
    assert high == math.inf


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"scores has shape \(3,\); expected \[seeds, tasks\]"):
        bootstrap_interval_95([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"strata has shape \(2,\); expected one label for each of 3 tasks"):
        bootstrap_interval_95([[1.0, 2.0, 3.0]], [1, 2])
