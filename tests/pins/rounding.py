"""How far float32 results of two processors may lie apart: a bound from the dtype and the number of operations.

Libraries sum in another order on every processor. A sum of n float32 terms then has a relative error of about
LAMBDA * sqrt(n) * u, where u = 2^-24 is the unit roundoff: the probabilistic bound of Higham and Mary (2019, "A new
approach to probabilistic rounding error analysis", theorem 2.4). The errors of the sums that follow each other in a
computation are added up, as if they all had the same sign: they do not, and that leaves room for what the computation
amplifies. The bounds are relative to the largest number of the pinned array, because small results are differences of
large intermediate ones.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2
# With lambda = 4 one sum stays within the bound with probability 1 - 2 exp(-8) = 0.9993.
LAMBDA = 4.0


def pass_error(kernel_shapes: Iterable[Sequence[int]], examples: int, positions: Sequence[int] | None = None) -> float:
    """The relative error of one pass, forward and backward, through a network.

    Each layer sums over its inputs (forward), over its outputs (the gradient of its input), and five times over the
    examples and their positions (batch norm's mean and variance, the two means of its gradient: that of the gradient
    of its output, and of this times the normalised input; the gradient of the kernel).

    Args:
        kernel_shapes: [..., in, out] of every layer.
        examples: that pass at a time.
        positions: of every layer, the pixels that a convolution is computed at; 1 by default.
    """
    shapes = list(kernel_shapes)
    positions = [1] * len(shapes) if positions is None else positions
    terms = 0.0
    for (*field, inputs, outputs), pixels in zip(shapes, positions, strict=True):
        size = math.prod(field)
        terms += math.sqrt(size * inputs) + math.sqrt(size * outputs) + 5 * math.sqrt(examples * pixels)
    return LAMBDA * UNIT_ROUNDOFF * terms


def assert_pinned(name: str, found: np.ndarray, pinned: list, allowed: float | np.ndarray) -> None:
    """Asserts that numbers are the pinned ones up to rounding.

    Args:
        name: of the numbers, for the message.
        found: what the code gives now.
        pinned: what it gave, as nested lists.
        allowed: the largest difference that rounding explains, one for all numbers or one for each.
    """
    pinned = np.asarray(pinned, np.float64)
    assert found.shape == pinned.shape, f"{name}: shape {found.shape}, {pinned.shape} is pinned"
    gap, allowed = np.abs(found - pinned), np.broadcast_to(allowed, found.shape)
    outside = ~(gap <= allowed)  # NaN is outside
    assert not outside.any(), f"{name}: {outside.sum()} of {outside.size} numbers are not the pinned ones, first " + (
        "{}: {:.9g} became {:.9g}; rounding explains a difference of {:.2g}, not {:.2g}".format(
            list(map(int, np.argwhere(outside)[0])), *(x[outside][0] for x in (pinned, found, allowed, gap))
        )
    )
