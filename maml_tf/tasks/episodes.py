"""N-way K-shot classification tasks from a set of labelled images (paper section 5.2; PROTOCOL 2.2)."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.tasks.base import TaskBatch, TaskDistribution, check_count
from maml_tf.tasks.class_images import ClassImages
from maml_tf.tasks.image_set import ImageSet
from maml_tf.tasks.random import split, uniform

ORDER = 7  # folded into the seed, for the order of the rows


class Episodes(TaskDistribution):
    """Draws N-way K-shot tasks with Q queries from labelled images, inside the compiled graph.

    For every task N classes are drawn without replacement, and K + Q different images of each class. A class is
    labelled by its position in the draw, so labels are permuted at random from task to task. The first K images of a
    class are its support images, the others its query images. A rotation is drawn for each class of each task and
    applies to all of its images there, so a task never holds two rotations of one character.

    Images of whole numbers 0 to 255 become float32 in 0..1. Floating-point images are taken as they are.

    Args:
        images: [C, M, height, width, channels]: M images of each of C classes; an array or a tensor. Where the classes
            differ in their numbers of images: a list of C arrays [M, height, width, channels], or a dictionary of them
            by name. Also an `ImageSet`. Grey images may be without the axis of channels.
        ways: N, the classes of a task.
        shots: K, the support images of each class.
        queries: Q, the query images of each class.
        rotations: rotate every class of every task by 0, 90, 180 or 270 degrees (square images only).
        shuffle: put the rows of every support and query set into random order. In the order of the classes, the place
            of a row tells its class to a layer that treats rows differently, such as a Dropout with a fixed mask. The
            paper's own tasks are in that order, which its networks cannot see.

    Raises:
        UsageError: there are fewer than N classes or fewer than K + Q images of a class, the images are no such arrays,
            or rotated images are not square.
    """

    def __init__(
        self,
        images: np.ndarray | tf.Tensor | ImageSet | Sequence[np.ndarray] | Mapping[str, np.ndarray],
        ways: int,
        shots: int,
        queries: int,
        rotations: bool = False,
        shuffle: bool = True,
    ):
        for name, value, least in (("ways", ways, 2), ("shots", shots, 1), ("queries", queries, 1)):
            check_count(name, value, least)
        self.class_images = ClassImages(images)
        self.images, self.image_shape = self.class_images.images, self.class_images.image_shape
        self.class_images.check(ways, shots, queries)
        if rotations and self.image_shape[0] != self.image_shape[1]:
            raise UsageError(f"rotations need square images, not {self.image_shape}")
        self.ways, self.shots, self.queries = int(ways), int(shots), int(queries)
        self.rotations, self.shuffle = rotations, shuffle

    @property
    def examples(self) -> tf.Tensor | None:
        """The images, [C, M, height, width, channels] (see `TaskDistribution`); None for classes of unequal size."""
        classes = self.class_images
        if not classes.equal:
            return None
        return tf.reshape(self.images, [classes.num_classes, classes.largest, *self.image_shape])

    def over(self, examples: tf.Tensor) -> "Episodes":
        """The same tasks with other images (see `TaskDistribution.over`)."""
        return Episodes(examples, self.ways, self.shots, self.queries, self.rotations, self.shuffle)

    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """Draws tasks (see `TaskDistribution.sample`).

        Returns:
            A TaskBatch with images [T, N*K or N*Q, height, width, channels], float32, and labels, int32 [T, N*K or
            N*Q]; in random order, or in the order of the labels.
        """
        class_seed, image_seed, rotation_seed = split(seed, 3)
        T, N, K, Q = num_tasks, self.ways, self.shots, self.queries
        classes = _draw(class_seed, [T], self.class_images.num_classes, N)
        images = tf.gather(self.images, self._draw_members(image_seed, classes))
        if self.rotations:
            quarter_turns = tf.cast(uniform(rotation_seed, [T, N, 1, 1, 1, 1], 0.0, 4.0), tf.int32)
            images = _rotate(images, quarter_turns)
        if images.dtype == tf.uint8:  # floating-point images are float32 and taken as they are
            images = tf.cast(images, tf.float32) / 255.0
        labels = tf.broadcast_to(tf.range(N)[:, tf.newaxis], [T, N, K + Q])

        def flat(x):
            return tf.reshape(x, [T, -1, *x.shape[3:]])

        support = flat(images[:, :, :K]), flat(labels[:, :, :K])
        query = flat(images[:, :, K:]), flat(labels[:, :, K:])
        if self.shuffle:
            seeds = split(tf.random.fold_in(tf.convert_to_tensor(seed), ORDER, alg="philox"), 2)
            support, query = (_shuffled(s, T, part) for s, part in zip(seeds, (support, query), strict=True))
        return TaskBatch(*support, *query)

    def _draw_members(self, seed: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The places in `images` of K + Q different images of each class [T, N], [T, N, K + Q]."""
        shape, sizes, num = classes.shape, self.class_images, self.shots + self.queries
        if sizes.equal:
            return classes[..., tf.newaxis] * sizes.largest + _draw(seed, shape, sizes.largest, num)
        numbers = uniform(seed, [*shape, sizes.largest])
        exists = tf.range(sizes.largest) < tf.gather(sizes.counts, classes)[..., tf.newaxis]
        members = tf.math.top_k(tf.where(exists, numbers, -1.0), num).indices
        return tf.gather(sizes.starts, classes)[..., tf.newaxis] + members


def _draw(seed, shape, population, num):
    """`num` different integers below `population` in random order, [*shape, num]."""
    return tf.math.top_k(uniform(seed, [*shape, population]), num).indices


def _shuffled(seed, T, rows):
    """Tensors [T, n, ...] with their rows in one random order for each task."""
    n = rows[0].shape[1]
    order = _draw(seed, [T], n, n)
    return tuple(tf.gather(tensor, order, axis=1, batch_dims=1) for tensor in rows)


def _rotate(images, quarter_turns):
    """Rotates images [T, N, M, side, side, channels] counter-clockwise by quarter turns [T, N, 1, 1, 1, 1]."""
    transposed = tf.where(quarter_turns % 2 == 1, tf.transpose(images, [0, 1, 2, 4, 3, 5]), images)
    upside_down = tf.where((quarter_turns == 1) | (quarter_turns == 2), tf.reverse(transposed, [-3]), transposed)
    return tf.where(quarter_turns >= 2, tf.reverse(upside_down, [-2]), upside_down)
