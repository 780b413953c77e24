"""The interval over tasks."""

import numpy as np
import pytest

from maml_tf.evaluation.intervals import half_width_95, wilson_interval_95


def test_the_interval_is_the_papers():
    values = np.array([0.0, 1.0, 1.0, 1.0])
    assert half_width_95(values) == pytest.approx(1.96 * np.sqrt(0.1875) / 2)


def test_it_is_taken_along_one_axis():
    values = np.array([[0.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    np.testing.assert_allclose(half_width_95(values), [1.96 * np.sqrt(0.1875) / 2, 0.0])
    np.testing.assert_allclose(half_width_95(values.T, axis=1), half_width_95(values))


def test_wilsons_interval_is_the_known_one_for_independent_observations():
    """By hand: 9 of 10 right gives (0.596, 0.982)."""
    values = np.array([1.0] * 9 + [0.0])
    low, high = wilson_interval_95(0.9, float(half_width_95(values)), 10)
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)


# Coverage in 1000 draws: a share of 0.95 has a standard error of 0.7 %.
DRAWS, STANDARD_ERROR = 1000, 0.007


def coverage(accuracy, correlation, queries, num_tasks=600):
    """How often (the paper's interval, Wilson's) holds the true accuracy. Images of a task share a beta-distributed
    chance, whose intraclass correlation is given."""
    rng = np.random.default_rng(0)
    shape = (DRAWS, num_tasks)
    chance = np.full(shape, accuracy)
    if correlation:
        chance = rng.beta(accuracy * (1 / correlation - 1), (1 - accuracy) * (1 / correlation - 1), shape)
    scores = rng.binomial(queries, chance) / queries
    mean, half_width = scores.mean(axis=1), half_width_95(scores, axis=1)
    low, high = wilson_interval_95(mean, half_width, num_tasks)
    return np.mean(abs(mean - accuracy) <= half_width), np.mean((low <= accuracy) & (accuracy <= high))


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("queries", [5, 75])
def test_wilsons_interval_covers_accuracies_near_one_whatever_images_of_a_task_share(queries, correlation):
    for accuracy in (0.9, 0.99, 0.999):
        papers, wilsons = coverage(accuracy, correlation, queries)
        assert wilsons > 0.95 - 3 * STANDARD_ERROR
        if accuracy == 0.999 and (queries == 5 or correlation):
            assert papers < 0.9


def test_the_papers_form_is_too_short_near_one():
    """The shares that docs/trust.md names: 93 % at 0.99, 80 % at 0.999, for tasks of 5 images."""
    assert coverage(0.99, 0.0, 5)[0] == pytest.approx(0.935, abs=0.02)
    assert coverage(0.999, 0.0, 5)[0] == pytest.approx(0.80, abs=0.04)


def test_wilsons_interval_takes_arrays_and_is_the_papers_form_where_errors_are_many():
    mean, half_width = np.array([0.4, 0.5]), np.array([0.012, 0.013])
    low, high = wilson_interval_95(mean, half_width, 600)
    np.testing.assert_allclose(high - low, 2 * half_width, rtol=0.02)
    for index in range(2):
        assert wilson_interval_95(mean[index], half_width[index], 600) == (low[index], high[index])
    mirrored = wilson_interval_95(1 - mean, half_width, 600)
    np.testing.assert_allclose(mirrored, (1 - high, 1 - low))


def test_an_error_in_one_task_counts_that_task_only():
    """All errors in one of 600 tasks: one observation a task, as if nothing were known of the others' images."""
    scores = np.ones(600)
    scores[0] = 0.8
    mean = scores.mean()
    low, high = wilson_interval_95(mean, half_width_95(scores), 600)
    spread, centre = 1.96 * np.sqrt(mean * (1 - mean) / 600 + 1.96**2 / (4 * 600**2)), mean + 1.96**2 / 1200
    np.testing.assert_allclose((low, high), np.array([centre - spread, centre + spread]) / (1 + 1.96**2 / 600))


def test_wilsons_interval_stays_within_0_and_1():
    assert wilson_interval_95(1.0, 0.0, 600) == (pytest.approx(0.99364, abs=1e-5), 1.0)
    assert wilson_interval_95(0.0, 0.0, 600) == (0.0, pytest.approx(0.00636, abs=1e-5))
    for arguments in ((1.1, 0.1, 5), (0.5, -1.0, 5), (0.5, 0.1, 0), (np.nan, 0.1, 5), (0.5, np.nan, 5)):
        with pytest.raises(ValueError, match=r"expected 0\.\.1"):
            wilson_interval_95(*arguments)
