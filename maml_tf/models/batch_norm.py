"""Batch normalisation as the authors used it, exact in its second derivative."""

import contextlib
import contextvars
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.ops.batch_norm_max_pool import fused_batch_norm_max_pool
from maml_tf.ops.fused_batch_norm import fused_batch_norm
from maml_tf.ops.max_pool import max_pool, max_pool_cut
from maml_tf.ops.plain import in_plain_form
from maml_tf.ops.shapes import sizes

EPSILON = 1e-3  # added to the variance (PROTOCOL 2.3)

Statistics = dict[str, tuple[tf.Tensor, tf.Tensor]]

_recorded: contextvars.ContextVar[Statistics | None] = contextvars.ContextVar("recorded statistics", default=None)
_given: contextvars.ContextVar[Mapping | None] = contextvars.ContextVar("given statistics", default=None)
_predicts_only = contextvars.ContextVar("predicts only", default=False)


@contextlib.contextmanager
def recorded_statistics() -> Iterator[Statistics]:
    """In this context every BatchNorm records the mean and variance of its batch, for each task.

    Yields:
        {layer name: (mean, variance)}. Both are [1, ..., 1, channels], of the batch's rank, with a task axis in front
        where the batch has one.
    """
    statistics: Statistics = {}
    token = _recorded.set(statistics)
    try:
        yield statistics
    finally:
        _recorded.reset(token)


def averaged_statistics(statistics: Sequence[Statistics]) -> Statistics:
    """The mean over several batches of their recorded statistics."""
    return tf.nest.map_structure(lambda *values: tf.reduce_mean(tf.stack(values), axis=0), *statistics)


@contextlib.contextmanager
def given_statistics(statistics: Mapping, predict_only: bool = False) -> Iterator[None]:
    """In this context every BatchNorm uses the given statistics in place of its batch's own.

    The paper's method never does this. The ablations and the supervised baselines of Table 1 do.

    Args:
        statistics: {layer name: (mean, variance)}, as `recorded_statistics` yields it.
        predict_only: no gradient is taken in the context. A max-pool after the norm then comes before it, which leaves
            a quarter of the values to normalise. The outputs have the same bits; the gradients would not.
    """
    token, predicts_token = _given.set(statistics), _predicts_only.set(predict_only)
    try:
        yield
    finally:
        _given.reset(token)
        _predicts_only.reset(predicts_token)


def batch_norm(x: tf.Tensor, beta: tf.Tensor, axes: Sequence[int], gamma: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Normalises x by its mean and biased variance over `axes`, times gamma plus beta; exact in every derivative.

    `tf.nn.moments` and Keras' BatchNormalization stop the gradient at the mean inside the variance. Their first
    derivative is right, but a term of the second is missing (tests/models/test_batch_norm.py shows it).

    Args:
        x: [..., channels].
        beta: the offset, in a shape that broadcasts to x.
        axes: the axes of one task's batch.
        gamma: the scale, in a shape that broadcasts to x.
    """
    centred = x - tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
    return _scaled(centred * tf.math.rsqrt(variance + EPSILON), gamma) + beta


def _scaled(x: tf.Tensor, gamma: tf.Tensor | float) -> tf.Tensor:
    """x gamma, with the bits of x where there is no scale."""
    return x if isinstance(gamma, float) else x * gamma


@keras.saving.register_keras_serializable(package="maml_tf")
class BatchNorm(keras.layers.Layer):
    """Normalises every batch by its own statistics, in training and at test, and adds a learned offset.

    As tf.contrib's layer in the authors' code (PROTOCOL 2.3): offset `beta` only, no scale, epsilon 0.001, biased
    variance over every axis but the channels, no moving averages. Support and query set are normalised separately, at
    test too (transductive). An input with a leading task axis is normalised task by task.

    Args:
        scale: also learn a scale `gamma`, which the paper's networks do not have.
        **kwargs: name, dtype and the like of a Keras layer.
    """

    def __init__(self, scale: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.gamma = scale, None

    def build(self, input_shape):
        self.batch_rank = len(input_shape)
        self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")
        if self.scale:
            self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}

    def call(self, x: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        """Normalises x + bias, of shape [..., channels].

        Batch statistics cancel any constant bias, so the bias of the preceding layer is skipped and its gradient is
        zero. It counts with given statistics only.

        Args:
            x: one batch, or with a leading task axis a batch for each task.
            bias: of the preceding layer, [channels] or [T, channels].
        """
        axes = list(range(x.shape.rank - self.batch_rank, x.shape.rank - 1))

        def broadcastable(values):
            """[channels] or [T, channels] in a shape that broadcasts to x."""
            return tf.reshape(values, [*sizes(values)[:-1], *[1] * len(axes), values.shape[-1]])

        gamma = 1.0 if self.gamma is None else broadcastable(tf.convert_to_tensor(self.gamma))
        if _recorded.get() is not None or _given.get() is not None:
            x = x if bias is None else x + broadcastable(tf.convert_to_tensor(bias))
            return self._with_statistics(x, axes, broadcastable(tf.convert_to_tensor(self.beta)), gamma)
        beta = self._offset(bias)
        if self._is_fused(x):
            return fused_batch_norm(x, beta, EPSILON)
        return batch_norm(x, broadcastable(beta), axes, gamma)

    def _offset(self, bias):
        """beta; the bias has no influence on it, so that its derivative is zero and not None."""
        beta = tf.convert_to_tensor(self.beta)
        return beta if bias is None else beta + 0.0 * bias

    def _is_fused(self, x):
        """Whether the fused forms apply: float32 images of one task on a CPU, their own statistics, no scale."""
        if self.scale or _recorded.get() is not None or _given.get() is not None or in_plain_form():
            return False
        if tf.config.list_physical_devices("GPU"):
            return False
        return x.shape.rank == self.batch_rank == 4 and x.dtype == tf.float32

    def _with_statistics(self, x, axes, beta, gamma):
        """`call` in a context that records or gives the statistics."""
        given, recorded = _given.get(), _recorded.get()
        if given is not None:
            mean, variance = given[self.name]
        else:
            mean = tf.reduce_mean(x, axes, keepdims=True)
            variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=True)
            if recorded is not None:
                recorded[self.name] = (mean, variance)
        return _scaled((x - mean) * tf.math.rsqrt(variance + EPSILON), gamma) + beta


@keras.saving.register_keras_serializable(package="maml_tf")
class BatchNormMaxPool(BatchNorm):
    """BatchNorm, then a 2x2 max-pool with stride 2 and VALID padding.

    An odd last row or column counts in the statistics only.

    Args:
        cut_second_derivative: the second derivative is cut off at the max-pool, as in the authors' code (PROTOCOL 5,
            row 33). By default it is exact.
        name, dtype: of the layer, as Keras takes them.
    """

    def __init__(self, cut_second_derivative: bool = False, **layer: Any):
        super().__init__(**layer)
        self.cut_second_derivative = cut_second_derivative

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cut_second_derivative": self.cut_second_derivative}

    def call(self, x: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        """As BatchNorm's, pooled: [..., height, width, channels] -> [..., height // 2, width // 2, channels]."""
        if self.cut_second_derivative:
            return max_pool_cut(super().call(x, bias))
        if self._is_fused(x):
            return fused_batch_norm_max_pool(x, self._offset(bias), EPSILON)
        if _given.get() is not None and _predicts_only.get() and not self.scale:
            # Adding a constant and multiplying by a positive one, each rounded, never swap two values: the maximum of
            # the normalised values is the normalised maximum, to the bit.
            return super().call(max_pool(x), bias)
        return max_pool(super().call(x, bias))
