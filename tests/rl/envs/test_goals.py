"""Training and test goals of the five families, and the errors of a wrong goal."""

import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.rl.envs.ant import AntDirection, AntVelocity
from maml_tf.rl.envs.goals import Directions, UniformGoals
from maml_tf.rl.envs.half_cheetah import HalfCheetahDirection, HalfCheetahVelocity
from maml_tf.rl.envs.point import PointNavigation


def test_point_goal_of_the_papers_figure():
    goals = PointNavigation.goal_distribution.test_goals()
    assert goals.shape == (40, 2)
    np.testing.assert_allclose(goals[6], [-0.2955, 0.3781], atol=5e-5)
    assert np.linalg.norm(goals, axis=1).mean() == pytest.approx(0.4008, abs=5e-5)


def test_test_directions_split_as_the_authors_results_do():
    cheetah = HalfCheetahDirection.goal_distribution.test_goals()
    ant = AntDirection.goal_distribution.test_goals()
    assert ((cheetah == 1).sum(), (cheetah == -1).sum()) == (18, 22)
    assert ((ant == 1).sum(), (ant == -1).sum()) == (20, 20)


@pytest.mark.parametrize(("family", "high"), [(HalfCheetahVelocity, 2.0), (AntVelocity, 3.0)])
def test_test_velocities_are_numpys_draws_of_seed_one(family, high):
    np.random.seed(1)
    expected = np.random.uniform(0, high, 40)
    np.testing.assert_array_equal(family.goal_distribution.test_goals(), expected)


def test_training_goals_cover_their_range():
    rng = np.random.default_rng(0)
    points = UniformGoals(-0.5, 0.5, shape=(2,)).sample(rng, 4000)
    assert points.shape == (4000, 2)
    assert -0.5 <= points.min() < -0.49
    assert 0.49 < points.max() < 0.5
    directions = AntDirection.goal_distribution.sample(rng, 4000)
    assert set(directions) == {-1.0, 1.0}
    assert abs(directions.mean()) < 4 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("distribution", "goal", "message"),
    [
        (UniformGoals(0, 2), np.zeros((3, 1)), r"shape \(3, 1\); allowed: \(4,\), or \(\)"),
        (UniformGoals(0, 2), np.nan, "not finite"),
        (Directions(1, 0, 2, 1), [1, 1, -1, 0.5], r"\+1 \(forward\) or -1"),
    ],
)
def test_a_wrong_goal_is_an_error_that_says_what_is_allowed(distribution, goal, message):
    with pytest.raises(UsageError, match=message):
        distribution.checked(goal, 4)


def test_training_directions_may_be_uneven():
    even = Directions(1, 0, 2, 1)
    uneven = even.with_backward_share(3 / 7)
    drawn = uneven.sample(np.random.default_rng(0), 70_000)
    assert set(drawn) == {-1.0, 1.0}
    # Five standard deviations of a share of 3/7 among 70 000 draws are 0.0094.
    assert abs((drawn < 0).mean() - 3 / 7) < 0.0094
    np.testing.assert_array_equal(uneven.test_goals(), even.test_goals())
    # The published trainings' draws: those of `choice`.
    expected = np.random.default_rng(0).choice([-1.0, 1.0], 9)
    np.testing.assert_array_equal(even.sample(np.random.default_rng(0), 9), expected)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_of_backward_goals_is_between_0_and_1(share):
    with pytest.raises(UsageError, match=r"backward_share: .* expected a number between 0 and 1"):
        Directions(1, 0, 2, 1, backward_share=share)


@pytest.mark.parametrize("bounds", [(2.0, 0.0), (np.nan, 1.0), (0.0, np.inf), (np.zeros(2), np.array([1.0, -1.0]))])
def test_a_range_is_finite_and_not_turned_round(bounds):
    with pytest.raises(UsageError, match=r"low, high: .* are not allowed; expected finite numbers, low up to high"):
        UniformGoals(*bounds)
