"""A large float32 matrix product: the peak of the cores, with which our speed is compared."""

from typing import Any

import numpy as np

from benchmarks.benchmark import Arrays, Benchmark, repeated, versions_of

SIZE = 1536  # three matrices of 9 MB: large enough for the peak, and a repetition takes a twentieth of a second
MULTIPLY_ADDS = SIZE**3


def prepare(name: str, problem: dict[str, Any], arrays: Arrays) -> Benchmark:
    """See `benchmarks.implementations`."""
    left, right = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)).astype(np.float32)
    product = np.empty((SIZE, SIZE), np.float32)
    return Benchmark(repeated(lambda: np.matmul(left, right, out=product)))


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    return versions_of("numpy")
