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
# Where that is exceeded, an implementation may be at most this many times as far as ours from the meta-gradient in
# float64. On mini-ImageNet with five shots correct programs differ by 0.01, because many ReLUs and max-pools choose by
# the last bit.
TIMES_AS_FAR = 2


def difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The norm of the difference of two lists of arrays over the norm of the second list."""
    squares = sum(float(np.square(f.astype(np.float64) - e).sum()) for f, e in zip(found, expected, strict=True))
    return math.sqrt(squares / sum(float(np.square(e.astype(np.float64)).sum()) for e in expected))


def check_agreement(
    found: Sequence[np.ndarray], ours: Sequence[np.ndarray], in_float64: Callable[[], Sequence[np.ndarray]]
) -> dict[str, float]:
    """Measures the distance of a result from ours and, where it exceeds TOLERANCE, of both from float64.

    Args:
        found, ours: lists of arrays.
        in_float64: returns our result in float64; called only where it is needed.

    Returns:
        {"difference"}, or {"difference", "off", "ours_off"}: norms over those of ours or of the float64 result.

    Raises:
        ImplementationFailedError: `found` is more than TIMES_AS_FAR times as far from float64 as ours.
    """
    distances = {"difference": difference(found, ours)}
    if distances["difference"] <= TOLERANCE:
        return distances
    exact = in_float64()
    distances |= {"off": difference(found, exact), "ours_off": difference(ours, exact)}
    if not distances["off"] <= TIMES_AS_FAR * distances["ours_off"]:  # true also where `off` is not a number
        raise ImplementationFailedError(
            f"its result differs from ours by {distances['difference']:.2g}, where {TOLERANCE} is allowed, "
            f"and from float64 by {distances['off']:.2g}, where ours does by {distances['ours_off']:.2g}"
        )
    return distances


def read_values(path: str | pathlib.Path) -> list[np.ndarray]:
    """The arrays that a worker saved, in order."""
    with np.load(path) as archive:
        return [archive[name] for name in archive.files]
