"""The outer rate falls from its first to its last value."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import MetaSpec
from maml_tf.training.schedules import Annealed, rate_of


@pytest.mark.parametrize(
    ("shape", "expected"), [("linear", [1.0, 0.775, 0.55, 0.1, 0.1]), ("cosine", [1.0, 0.8682, 0.55, 0.1, 0.1])]
)
def test_the_rate_falls_and_then_stays(shape, expected):
    rate = Annealed(1.0, 0.1, 8, shape)
    np.testing.assert_allclose([float(rate(tf.constant(i))) for i in (0, 2, 4, 8, 100)], expected, rtol=1e-4)


def test_a_spec_says_the_rate():
    assert rate_of(MetaSpec(iterations=8, batch_size=1, learning_rate=0.5)) == 0.5
    annealed = MetaSpec(iterations=8, batch_size=1, learning_rate=0.5, schedule="linear", final_learning_rate=0.0)
    assert rate_of(annealed) == Annealed(0.5, 0.0, 8, "linear")


@pytest.mark.parametrize("given", [{"schedule": "linear"}, {"final_learning_rate": 0.1}])
def test_a_schedule_and_its_end_are_given_together(given):
    with pytest.raises(UsageError, match="schedule, final_learning_rate: only both or neither are allowed"):
        MetaSpec(iterations=8, batch_size=1, learning_rate=0.5, **given)
