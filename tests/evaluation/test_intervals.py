"""The interval over tasks."""

import numpy as np
import pytest

from maml_tf.evaluation.intervals import half_width_95


def test_the_interval_is_the_papers():
    values = np.array([0.0, 1.0, 1.0, 1.0])
    assert half_width_95(values) == pytest.approx(1.96 * np.sqrt(0.1875) / 2)


def test_it_is_taken_along_one_axis():
    values = np.array([[0.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    np.testing.assert_allclose(half_width_95(values), [1.96 * np.sqrt(0.1875) / 2, 0.0])
    np.testing.assert_allclose(half_width_95(values.T, axis=1), half_width_95(values))
