"""N-way K-shot classification tasks from a set of labelled images (paper section 5.2; PROTOCOL 2.2)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.tasks.random import split, uniform


class Episodes(TaskDistribution):
    """Draws N-way K-shot tasks with Q queries from labelled images, inside the compiled graph.

    For every task N classes are drawn without replacement, and K + Q different images of each class. A class is
    labelled by its position in the draw, so labels are permuted at random from task to task. The first K images of a
    class are its support images, the others its query images. A rotation is drawn for each class of each task and
    applies to all of its images there, so a task never holds two rotations of one character.

    Args:
        images: uint8 [C, M, height, width, channels]: M images of each of C classes; an array or a tensor.
        ways: N, the classes of a task.
        shots: K, the support images of each class.
        queries: Q, the query images of each class.
        rotations: rotate every class of every task by 0, 90, 180 or 270 degrees (square images only).

    Raises:
        UsageError: there are fewer than N classes or fewer than K + Q images of a class, or rotated images are not
            square.
    """

    def __init__(self, images: np.ndarray | tf.Tensor, ways: int, shots: int, queries: int, rotations: bool = False):
        self.classes, self.images_per_class, *self.image_shape = images.shape
        if ways > self.classes or shots + queries > self.images_per_class:
            raise UsageError(
                f"{ways} ways of {shots} + {queries} images cannot be drawn from {self.classes} classes of "
                f"{self.images_per_class} images"
            )
        if rotations and self.image_shape[0] != self.image_shape[1]:
            raise UsageError(f"rotations need square images, not {self.image_shape}")
        self.images = tf.reshape(tf.convert_to_tensor(images), [-1, *self.image_shape])
        self.ways = ways
        self.shots = shots
        self.queries = queries
        self.rotations = rotations

    @property
    def examples(self) -> tf.Tensor:
        """The images, uint8 [C, M, height, width, channels] (see `TaskDistribution`)."""
        return tf.reshape(self.images, [self.classes, self.images_per_class, *self.image_shape])

    def over(self, examples: tf.Tensor) -> "Episodes":
        """The same tasks with other images (see `TaskDistribution.over`)."""
        return Episodes(examples, self.ways, self.shots, self.queries, self.rotations)

    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """Draws tasks (see `TaskDistribution.sample`).

        Returns:
            A TaskBatch with images [T, N*K or N*Q, height, width, channels], float32 in 0..1, in the order of their
            labels, int32 [T, N*K or N*Q].
        """
        class_seed, image_seed, rotation_seed = split(seed, 3)
        T, N, K, Q = num_tasks, self.ways, self.shots, self.queries
        classes = _draw(class_seed, [T], self.classes, N)
        members = _draw(image_seed, [T, N], self.images_per_class, K + Q)
        images = tf.gather(self.images, classes[..., tf.newaxis] * self.images_per_class + members)
        if self.rotations:
            quarter_turns = tf.cast(uniform(rotation_seed, [T, N, 1, 1, 1, 1], 0.0, 4.0), tf.int32)
            images = _rotate(images, quarter_turns)
        images = tf.cast(images, tf.float32) / 255.0
        labels = tf.broadcast_to(tf.range(N)[:, tf.newaxis], [T, N, K + Q])

        def flat(x):
            return tf.reshape(x, [T, -1, *x.shape[3:]])

        return TaskBatch(flat(images[:, :, :K]), flat(labels[:, :, :K]), flat(images[:, :, K:]), flat(labels[:, :, K:]))


def _draw(seed, shape, population, num):
    """`num` different integers below `population` in random order, [*shape, num]."""
    return tf.math.top_k(uniform(seed, [*shape, population]), num).indices


def _rotate(images, quarter_turns):
    """Rotates images [T, N, M, side, side, channels] counter-clockwise by quarter turns [T, N, 1, 1, 1, 1]."""
    transposed = tf.where(quarter_turns % 2 == 1, tf.transpose(images, [0, 1, 2, 4, 3, 5]), images)
    upside_down = tf.where((quarter_turns == 1) | (quarter_turns == 2), tf.reverse(transposed, [-3]), transposed)
    return tf.where(quarter_turns >= 2, tf.reverse(upside_down, [-2]), upside_down)
