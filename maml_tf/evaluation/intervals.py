"""Confidence intervals over tasks."""

import numpy as np
from numpy.typing import ArrayLike


def half_width_95(values: ArrayLike, axis: int = 0) -> np.ndarray:
    """Half the width of the 95 % interval of a mean: 1.96 x population standard deviation / sqrt(n) (PROTOCOL 1.4).

    Args:
        values: an array; `axis` runs over the n tasks.
        axis: the axis that is averaged.

    Returns:
        The half widths, in the shape of `values` without that axis.
    """
    values = np.asarray(values, dtype=np.float64)
    return 1.96 * values.std(axis=axis) / np.sqrt(values.shape[axis])
