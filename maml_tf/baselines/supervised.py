"""Supervised pretraining for few-shot classification: the fine-tuning and nearest-neighbour rows of Table 1.

Both rows are cited in the paper from Ravi and Larochelle (2017), who leave much open; what is chosen here stands in the
spec (PROTOCOL 2.6).
"""

from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.meta.functional import functional_call
from maml_tf.meta.inner_loop import adapt
from maml_tf.meta.losses import accuracy
from maml_tf.models.batch_norm import averaged_statistics, given_statistics, recorded_statistics
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.tasks.random import split, uniform


class LabelledImages(TaskDistribution):
    """Batches for supervised training: images of any class, labelled by class.

    Args:
        images: uint8 [C, M, height, width, channels]; an array or a tensor.
    """

    def __init__(self, images: np.ndarray | tf.Tensor):
        self.examples = tf.convert_to_tensor(images)
        self.classes, self.images_per_class, *self.image_shape = images.shape
        self.images = tf.reshape(self.examples, [-1, *self.image_shape])

    def over(self, examples: tf.Tensor) -> "LabelledImages":
        """See TaskDistribution.over."""
        return LabelledImages(examples)

    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """`num_tasks` images, with replacement, as the support set of one task; the query set is empty."""
        class_seed, image_seed = split(seed, 2)
        labels = tf.cast(uniform(class_seed, [num_tasks], 0.0, self.classes), tf.int32)
        members = tf.cast(uniform(image_seed, [num_tasks], 0.0, self.images_per_class), tf.int32)
        images = tf.gather(self.images, labels * self.images_per_class + members)
        images = tf.cast(images, tf.float32) / 255.0
        return TaskBatch(images[tf.newaxis], labels[tf.newaxis], images[tf.newaxis, :0], labels[tf.newaxis, :0])


class SupervisedTraining(JointTraining):
    """Minimises a loss over the labelled images of `LabelledImages`; a learner for `maml_tf.training`.

    Args:
        model: a built Keras model with an output for every class.
        loss: (labels [n], logits [n, C]) -> [].
    """

    def meta_gradient(self, params: Sequence[tf.Tensor], batch: TaskBatch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loss on the batch's one support set, without its task axis, and its gradient."""
        return super().meta_gradient(params, TaskBatch(*(tensor[0] for tensor in batch)))


def population_statistics(
    model: keras.Model, params: Sequence[tf.Tensor], batches: Iterable[tf.Tensor]
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Batch norm's mean and variance over batches of training images, as moving averages would settle at.

    Returns:
        {layer name: (mean, variance)}, for `given_statistics`.
    """

    @tf.function(autograph=False)
    def of_one_batch(params, images):
        with recorded_statistics() as statistics:
            functional_call(model, params, images)
        return statistics

    return averaged_statistics([of_one_batch(params, images) for images in batches])


def nearest_neighbour_accuracies(
    features: Callable[[tf.Tensor], tf.Tensor],
    support_x: tf.Tensor,
    support_y: tf.Tensor,
    query_x: tf.Tensor,
    query_y: tf.Tensor,
) -> tf.Tensor:
    """Labels every query image as its nearest support image, by cosine similarity and by Euclidean distance.

    Args:
        features: images [n, ...] -> [n, F].
        support_x, support_y, query_x, query_y: one task.

    Returns:
        [2]: the accuracy by cosine and by distance, in 0..1.
    """
    support, query = features(support_x), features(query_x)
    cosine = tf.matmul(tf.math.l2_normalize(query, -1), tf.math.l2_normalize(support, -1), transpose_b=True)
    distance = tf.reduce_sum(tf.square(query[:, tf.newaxis] - support[tf.newaxis]), -1)
    nearest = tf.stack([tf.argmax(cosine, -1), tf.argmin(distance, -1)])
    right = tf.equal(tf.gather(support_y, nearest), query_y)
    return tf.reduce_mean(tf.cast(right, tf.float32), axis=-1)


def fine_tuning_accuracies(
    model: keras.Model,
    statistics: dict[str, tuple[tf.Tensor, tf.Tensor]],
    loss: Callable[..., tf.Tensor],
    params: Sequence[tf.Tensor],
    task: Sequence[tf.Tensor],
    step_size: float | tf.Tensor,
    decay: float | tf.Tensor,
    num_steps: int,
) -> tf.Tensor:
    """Fine-tunes all weights on the support set by gradient descent, with a fresh output layer of zeros.

    Batch norm keeps the statistics of pretraining throughout, so no query image helps another.

    Args:
        model: a built Keras model with N outputs; its last two trainable variables are the output's kernel and bias.
        statistics: {layer name: (mean, variance)}.
        loss: (labels [n], logits [n, N]) -> [].
        params: the pretrained parameters without the output layer's.
        task: (support_x, support_y, query_x, query_y).
        step_size: of the first step, a scalar.
        decay: the factor by which every step is smaller than the one before, a scalar.
        num_steps: gradient steps.

    Returns:
        [num_steps + 1]: the accuracy on the query set after 0, 1, ... steps, in 0..1.
    """
    support_x, support_y, query_x, query_y = task
    head = [tf.zeros(variable.shape) for variable in model.trainable_variables[-2:]]

    def support_loss(params, support):
        x, y = support
        return loss(y, functional_call(model, params, x))

    def query_accuracy(params):
        with given_statistics(statistics, predict_only=True):
            return accuracy(query_y, functional_call(model, params, query_x))

    # The query images are predicted once a step, which is most of the work: five support images are trained on, 75
    # predicted. Before the first step the output layer of zeros gives zeros, whatever the network makes of the images.
    accuracies = [accuracy(query_y, tf.zeros([query_y.shape[0], head[-1].shape[0]]))]
    params = [*params, *head]
    with given_statistics(statistics):
        for step in range(num_steps):
            params = adapt(support_loss, params, (support_x, support_y), step_size * decay**step, num_steps=1)[-1]
            accuracies.append(query_accuracy(params))
    return tf.stack(accuracies)
