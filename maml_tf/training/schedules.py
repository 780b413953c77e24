"""The learning rate of the outer loop as a function of the iteration."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import tensorflow as tf

SHAPES = ("cosine", "linear")


@dataclasses.dataclass(frozen=True)
class Annealed:
    """A rate that falls from `start` to `end` over a number of iterations and stays there.

    "cosine" is half a period of a cosine (Loshchilov and Hutter 2017, without restarts; in MAML++), "linear" a straight
    line (Reptile).

    Attributes:
        start, end: the first and the last rate.
        iterations: how many iterations the fall takes.
        shape: "cosine" or "linear".
    """

    start: float
    end: float
    iterations: int
    shape: Literal["cosine", "linear"] = "cosine"

    def __call__(self, iteration: tf.Tensor) -> tf.Tensor:
        """The rate [] of the iteration after `iteration` (int32 []) others."""
        done = tf.minimum(tf.cast(iteration, tf.float32) / self.iterations, 1.0)
        left = 0.5 * (1 + tf.cos(math.pi * done)) if self.shape == "cosine" else 1 - done
        return self.end + (self.start - self.end) * left


def rate_of(meta: Any) -> float | Annealed:
    """The learning rate that the section `meta` of a spec says."""
    if meta.schedule is None:
        return meta.learning_rate
    return Annealed(meta.learning_rate, meta.final_learning_rate, meta.iterations, meta.schedule)
