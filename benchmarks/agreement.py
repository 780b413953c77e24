"""Whether two implementations compute the same: distances between their results."""

import math
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.processes import ImplementationFailedError

# The largest allowed difference of a meta-gradient from ours, as the norm of the difference over all parameters. A
# float32 rounding is 6e-8; sums of 1e5 terms and steps of 2.0 along the gradient raise it to about 1e-5. The most
# common mistake, a batch norm without its full second derivative, gives 3e-3 and more.
TOLERANCE = 1e-3
# Where that is exceeded, both are computed in float64. On mini-ImageNet correct programs in float32 differ by up to
# 0.01, because many ReLUs and max-pools choose by the last bit. In float64 hardly any does.
TOLERANCE_IN_FLOAT64 = 1e-8


def difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The norm of the difference of two lists of arrays over the norm of the second list."""
    squares = sum(float(np.square(f.astype(np.float64) - e).sum()) for f, e in zip(found, expected, strict=True))
    return math.sqrt(squares / sum(float(np.square(e.astype(np.float64)).sum()) for e in expected))


def check_agreement(
    found: Sequence[np.ndarray],
    ours: Sequence[np.ndarray],
    found_in_float64: Callable[[], Sequence[np.ndarray]],
    ours_in_float64: Callable[[], Sequence[np.ndarray]],
) -> dict[str, float]:
    """Measures the distance of a result from ours and, where it exceeds TOLERANCE, that of the results in float64.

    Args:
        found, ours: lists of arrays.
        found_in_float64, ours_in_float64: return the same, computed in float64; called only where it is needed.

    Returns:
        {"difference"}, or {"difference", "in_float64", "off", "ours_off"}: the distance in float32, that in float64,
        and how far each in float32 is from itself in float64. All are norms over those of ours.

    Raises:
        ImplementationFailedError: the two differ in float64 as well.
    """
    distances = {"difference": difference(found, ours)}
    if distances["difference"] <= TOLERANCE:
        return distances
    exact, ours_exact = found_in_float64(), ours_in_float64()
    distances |= {
        "in_float64": difference(exact, ours_exact),
        "off": difference(found, exact),
        "ours_off": difference(ours, ours_exact),
    }
    if not distances["in_float64"] <= TOLERANCE_IN_FLOAT64:  # true also where it is not a number
        raise ImplementationFailedError(
            f"its result differs from ours by {distances['difference']:.2g}, where {TOLERANCE} is allowed, "
            f"and in float64 by {distances['in_float64']:.2g}, where {TOLERANCE_IN_FLOAT64} is allowed"
        )
    return distances


def read_values(path: str | pathlib.Path) -> list[np.ndarray]:
    """The arrays that a worker saved, in order."""
    with np.load(path) as archive:
        return [archive[name] for name in archive.files]
