"""Sinusoid regression (paper section 5.1; PROTOCOL 2.1)."""

import math
from collections.abc import Sequence

import tensorflow as tf

from maml_tf.tasks.base import TaskBatch, TaskDistribution, check_count
from maml_tf.tasks.random import split, uniform

AMPLITUDE = (0.1, 5.0)
PHASE = (0.0, math.pi)
INPUT = (-5.0, 5.0)


class SinusoidTasks(TaskDistribution):
    """Regression tasks y = A sin(x - phi), with A ~ U[0.1, 5], phi ~ U[0, pi] and x ~ U[-5, 5].

    Args:
        shots: K, the number of support points.
        queries: Q, the number of query points.
        reveal_task: the inputs are (x, A, phi) in place of x, for the oracle.
        halves: draw support points from the right half of the range and query points from the left half (Figure 2: can
            a network infer the half that has no support points?).
    """

    def __init__(self, shots: int, queries: int, reveal_task: bool = False, halves: bool = False):
        check_count("shots", shots)
        check_count("queries", queries)
        self.shots = shots
        self.queries = queries
        self.reveal_task = reveal_task
        self.support_range = (0.0, INPUT[1]) if halves else INPUT
        self.query_range = (INPUT[0], 0.0) if halves else INPUT

    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """Draws tasks (see `TaskDistribution.sample`).

        Returns:
            A TaskBatch with inputs [T, K or Q, 1], or [T, K or Q, 3] for the oracle, and values [T, K or Q, 1].
        """
        amplitude, phase = self.draw_functions(seed, num_tasks)
        support_seed, query_seed = split(seed, 4)[2:]

        def points(point_seed, n, bounds):
            x = uniform(point_seed, [num_tasks, n, 1], *bounds)
            return self.inputs(x, amplitude, phase), amplitude * tf.sin(x - phase)

        support_x, support_y = points(support_seed, self.shots, self.support_range)
        query_x, query_y = points(query_seed, self.queries, self.query_range)
        return TaskBatch(support_x, support_y, query_x, query_y)

    def draw_functions(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Amplitude and phase, [T, 1, 1] each, of the functions that `sample` draws from the same seed."""
        amplitude_seed, phase_seed = split(seed, 4)[:2]
        return uniform(amplitude_seed, [num_tasks, 1, 1], *AMPLITUDE), uniform(phase_seed, [num_tasks, 1, 1], *PHASE)

    def inputs(self, x: tf.Tensor, amplitude: tf.Tensor, phase: tf.Tensor) -> tf.Tensor:
        """The inputs of the network at x [T, n, 1]: x itself, or (x, A, phi) [T, n, 3] for the oracle."""
        if not self.reveal_task:
            return x
        return tf.concat([x, amplitude * tf.ones_like(x), phase * tf.ones_like(x)], axis=-1)
