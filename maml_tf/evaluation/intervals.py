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


def wilson_interval_95(mean: ArrayLike, half_width: ArrayLike, num_tasks: int) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of an accuracy over tasks, from the paper's form of it.

    The interval mean +- 1.96 standard errors is too short near 0 and 1, where errors are few. Wilson's (1927, "Probable
    inference, the law of succession, and statistical inference") is not symmetric and stays within 0 and 1.

    It needs a number of independent observations. Images of one task are not independent, so the number is the
    one whose binomial standard error is the measured one: mean (1 - mean) / standard error^2. Where few tasks hold all
    errors, the standard error itself is uncertain. As Korn and Graubard do for surveys (1998, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data"), the number is therefore
    multiplied by (1.96 / t)^2, with t the 97.5 % quantile of Student's distribution. Its degrees of freedom are the
    effective number of tasks with errors, (sum of errors)^2 / sum of squared errors. The number is at least that of the
    tasks, because the standard error of scores from 0 to 1 is largest where every task scores 0 or 1.

    Args:
        mean: accuracies, from 0 to 1.
        half_width: of `half_width_95`, in the same unit and shape. Where it is 0, a task is one observation.
        num_tasks: number of tasks.

    Returns:
        (low, high), in the shape of `mean`.

    Raises:
        ValueError: an argument is out of its range.
    """
    mean, half_width = np.asarray(mean, np.float64), np.asarray(half_width, np.float64)
    if not (np.all((mean >= 0) & (mean <= 1)) and np.all(half_width >= 0) and num_tasks >= 1):
        raise ValueError(
            f"mean={mean}, half_width={half_width}, num_tasks={num_tasks}: expected 0..1, from 0 and from 1"
        )
    squared_error = (half_width / 1.96) ** 2
    rarer = np.minimum(mean, 1 - mean)
    varies = (squared_error > 0) & (rarer > 0)
    tasks_with_errors = np.where(varies, rarer**2 / np.where(varies, squared_error + rarer**2 / num_tasks, 1.0), 1.0)
    equivalent = np.where(varies, mean * (1 - mean) / np.where(varies, squared_error, 1.0), num_tasks)
    observations = np.maximum(num_tasks, equivalent * (1.96 / _student_quantile(tasks_with_errors)) ** 2)
    squared = 1.96**2
    centre = (mean + squared / (2 * observations)) / (1 + squared / observations)
    spread = 1.96 * np.sqrt(mean * (1 - mean) / observations + squared / (4 * observations**2))
    spread /= 1 + squared / observations
    return np.clip(centre - spread, 0.0, mean)[()], np.clip(centre + spread, mean, 1.0)[()]


def _student_quantile(freedom: np.ndarray) -> np.ndarray:
    """The 97.5 % quantile of Student's t distribution (Abramowitz and Stegun 1964, 26.7.5), z = 1.96 in the limit."""
    z = 1.96
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
