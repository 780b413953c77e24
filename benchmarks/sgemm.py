"""The core's matrix-product peak: a large float32 product, which everything else is set against."""

import numpy as np

from benchmarks.prepared import Prepared, repeated, versions_of

SIDE = 1536  # three matrices of 9 MB: beyond what pays for the call, small enough for a twentieth of a second
MULTIPLY_ADDS = SIDE**3


def prepare(side, problem, arrays):
    """See side.py."""
    left, right = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype(np.float32)
    product = np.empty((SIDE, SIDE), np.float32)
    return Prepared(repeated(lambda: np.matmul(left, right, out=product)))


def versions():
    """Of what this side runs on."""
    return versions_of("numpy")
