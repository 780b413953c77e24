"""Confidence intervals over tasks."""

import math

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


def wilson_interval_95(mean: float, half_width: float, num_tasks: int) -> tuple[float, float]:
    """Wilson's 95 % interval of an accuracy over tasks, from the paper's form of it.

    The interval mean +- 1.96 standard errors is too short near 0 and 1, where the errors are few. Wilson's (1927,
    "Probable inference, the law of succession, and statistical inference") is not symmetric and stays
    within 0 and 1. Its number of observations is the one with the given standard error, so images of one task may
    depend on each other.

    Args:
        mean: accuracy, in 0..1.
        half_width: of `half_width_95`, in the same unit. 0, where all tasks score the same, counts a task as one
            observation.
        num_tasks: number of tasks.

    Returns:
        (low, high)

    Raises:
        ValueError: an argument is out of its range.
    """
    if not (0 <= mean <= 1 and half_width >= 0 and num_tasks >= 1):
        raise ValueError(
            f"mean={mean}, half_width={half_width}, num_tasks={num_tasks}: expected 0..1, from 0 and from 1"
        )
    variance = (half_width / 1.96) ** 2
    observations = mean * (1 - mean) / variance if variance > 0 and 0 < mean < 1 else num_tasks
    squared = 1.96**2
    centre = (mean + squared / (2 * observations)) / (1 + squared / observations)
    spread = 1.96 * math.sqrt(mean * (1 - mean) / observations + squared / (4 * observations**2))
    spread /= 1 + squared / observations
    return max(0.0, min(mean, centre - spread)), min(1.0, max(mean, centre + spread))
