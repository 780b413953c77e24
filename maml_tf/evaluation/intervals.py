"""Confidence intervals over tasks."""

import numpy as np


def half_width_95(values, axis=0):
    """Half the width of the 95 % interval of a mean: 1.96 x population standard deviation / sqrt(n) (PROTOCOL 1.4)."""
    values = np.asarray(values, dtype=np.float64)
    return 1.96 * values.std(axis=axis) / np.sqrt(values.shape[axis])
