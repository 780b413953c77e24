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


@pytest.mark.parametrize("accuracy", [0.99, 0.999])
def test_wilsons_interval_covers_accuracies_near_one_where_the_papers_form_does_not(accuracy):
    """600 tasks of 5 images, drawn 1000 times: how often does each interval hold the true accuracy?"""
    rng, draws = np.random.default_rng(0), 1000
    covered = np.zeros(2)
    for _ in range(draws):
        scores = rng.binomial(5, accuracy, 600) / 5
        mean, half_width = scores.mean(), float(half_width_95(scores))
        low, high = wilson_interval_95(mean, half_width, 600)
        covered += [abs(mean - accuracy) <= half_width, low <= accuracy <= high]
    papers, wilsons = covered / draws
    # The standard error of a share of 0.95 in 1000 draws is 0.7 %.
    assert wilsons > 0.95 - 3 * 0.007
    assert papers < wilsons
    if accuracy == 0.999:
        assert papers < 0.9


def test_wilsons_interval_stays_within_0_and_1():
    assert wilson_interval_95(1.0, 0.0, 600) == (pytest.approx(0.99364, abs=1e-5), 1.0)
    assert wilson_interval_95(0.0, 0.0, 600) == (0.0, pytest.approx(0.00636, abs=1e-5))
    for arguments in ((1.1, 0.1, 5), (0.5, -1.0, 5), (0.5, 0.1, 0)):
        with pytest.raises(ValueError, match=r"expected 0\.\.1"):
            wilson_interval_95(*arguments)
