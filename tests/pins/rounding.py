"""How far float32 results of two processors may lie apart: a bound from the dtype and the number of operations.

Libraries sum in another order on every processor. A sum of n float32 terms then has a relative error of about
LAMBDA * sqrt(n) * u, where u = 2^-24 is the unit roundoff: the probabilistic bound of Higham and Mary (2019, "A new
approach to probabilistic rounding error analysis", theorem 2.4). The errors of the sums that follow each other in a
computation are added up, as if they all had the same sign: they do not, and that leaves room for what the computation
amplifies. The bounds are relative to the largest number of the pinned array, because small results are differences of
large intermediate ones.

A gradient through ReLUs and max-pools differs by more: rounding decides some of them (`switched_error`).
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2
# With lambda = 4 one sum stays within the bound with probability 1 - 2 exp(-8) = 0.9993.
LAMBDA = 4.0
# Density at 0 of the absolute value of a standard normal number, and of the gap between the two largest of four.
NEAR_ZERO, NEAR_TIE = 0.798, 1.03


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


def switched_error(kernel_shapes: Iterable[Sequence[int]], max_pool: bool) -> float:
    """The relative change of a gradient by the ReLUs, and max-pools of four, that rounding decides in one pass.

    Batch norm gives their inputs a standard deviation of 1. So a share NEAR_ZERO * e of the ReLUs has an input within
    the error e of zero, and a share NEAR_TIE * e of the max-pools a maximum within e of the next number. Rounding may
    switch these. A gradient is a sum of terms of both signs over them, so with a share s switched it changes by about
    sqrt(s) of its size. The error e is that of the sums over the inputs of this layer and of those before it. The
    errors of batch norm's variance switch nothing: they scale all inputs.

    Args:
        kernel_shapes: [..., in, out] of every layer; the last has no ReLU.
        max_pool: whether a max-pool follows each ReLU.
    """
    *shapes, _ = kernel_shapes
    terms = switched = 0.0
    for *field, inputs, _ in shapes:
        terms += math.sqrt(math.prod(field) * inputs)
        switched += (NEAR_ZERO + NEAR_TIE * max_pool) * LAMBDA * UNIT_ROUNDOFF * terms
    return math.sqrt(switched)


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
