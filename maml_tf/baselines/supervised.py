"""Supervised pretraining for few-shot classification: the fine-tuning and nearest-neighbour rows of Table 1.

The paper cites both rows from Ravi and Larochelle (2017), who do not give all details. The spec holds the choices made
here (PROTOCOL 2.6).
"""

from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.meta.functional import functional_call
from maml_tf.meta.inner_loop import adapt
from maml_tf.meta.learner import MetaStep
from maml_tf.meta.losses import accuracy
from maml_tf.models.batch_norm import averaged_statistics, given_statistics, recorded_statistics
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.tasks.class_images import ClassImages
from maml_tf.tasks.random import split, uniform


class LabelledImages(TaskDistribution):
    """Batches for supervised training: images of all classes, labelled by class.

    Args:
        images: uint8 [C, M, height, width, channels], an array or a tensor; or a list of C arrays [M, height, width,
            channels] that differ in their numbers of images M.

    Attributes:
        num_classes: C.
        image_shape: [height, width, channels].
    """

    def __init__(self, images: np.ndarray | tf.Tensor | Sequence[np.ndarray]):
        self.classes = ClassImages(images)
        self.num_classes, self.image_shape = self.classes.num_classes, self.classes.image_shape
        shape = [self.num_classes, self.classes.largest, *self.image_shape]
        self.examples = tf.reshape(self.classes.images, shape) if self.classes.equal else None

    def over(self, examples: tf.Tensor) -> "LabelledImages":
        """The same with other images (see `TaskDistribution.over`)."""
        return LabelledImages(examples)

    def sample(self, seed: tf.Tensor | Sequence[int], num_tasks: int) -> TaskBatch:
        """Draws `num_tasks` images with replacement, as the support set of one task; its query set is empty.

        Every class is drawn equally often, however many images it has.
        """
        class_seed, image_seed = split(seed, 2)
        labels = tf.cast(uniform(class_seed, [num_tasks], 0.0, self.num_classes), tf.int32)
        if self.classes.equal:
            members = tf.cast(uniform(image_seed, [num_tasks], 0.0, self.classes.largest), tf.int32)
        else:
            counts = tf.gather(self.classes.counts, labels)
            share = uniform(image_seed, [num_tasks], 0.0, 1.0)
            members = tf.minimum(tf.cast(share * tf.cast(counts, tf.float32), tf.int32), counts - 1)
        images = tf.gather(self.classes.images, tf.gather(self.classes.starts, labels) + members)
        images = tf.cast(images, tf.float32) / 255.0
        return TaskBatch(images[tf.newaxis], labels[tf.newaxis], images[tf.newaxis, :0], labels[tf.newaxis, :0])


class SupervisedTraining(JointTraining):
    """Minimises a loss on batches of `LabelledImages`.

    Args:
        model: a built Keras model with an output for every class.
        loss: (labels [n], logits [n, C]) -> [].
    """

    task_axis = False

    def meta_step(
        self,
        params: Sequence[tf.Tensor],
        batch: TaskBatch,
        seed: tf.Tensor | Sequence[int] | None = None,
        training: bool | None = None,
    ) -> MetaStep:
        """The loss on the only support set of the batch, without its task axis, and its gradient."""
        return super().meta_step(params, TaskBatch(*(tensor[0] for tensor in batch)), seed, training)


def population_statistics(
    model: keras.Model, params: Sequence[tf.Tensor], batches: Iterable[tf.Tensor]
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Batch norm's mean and variance over training images: the values to which moving averages would converge.

    Args:
        model: a built Keras model with this library's BatchNorm.
        params: its weights.
        batches: batches of images [n, height, width, channels].

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
    """Labels every query image like its nearest support image, by cosine similarity and by Euclidean distance.

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
    """Fine-tunes all weights on the support set by gradient descent, starting from an output layer of zeros.

    Batch norm uses the statistics of pretraining throughout, so query images do not influence each other.

    Args:
        model: a built Keras model with N outputs; its last two trainable variables are the output's kernel and bias.
        statistics: {layer name: (mean, variance)}.
        loss: (labels [n], logits [n, N]) -> [].
        params: the pretrained weights without those of the output layer.
        task: (support_x, support_y, query_x, query_y).
        step_size: of the first step, a scalar.
        decay: factor by which the step size changes from each step to the next, a scalar.
        num_steps: number of gradient steps.

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

    # Most of the work is to predict the query images after every step: 75 of them, with five images to train on. They
    # are not predicted before the first step: the output layer of zeros gives zeros for every image.
    accuracies = [accuracy(query_y, tf.zeros([query_y.shape[0], head[-1].shape[0]]))]
    params = [*params, *head]
    with given_statistics(statistics):
        for step in range(num_steps):
            params = adapt(support_loss, params, (support_x, support_y), step_size * decay**step, num_steps=1)[-1]
            accuracies.append(query_accuracy(params))
    return tf.stack(accuracies)
