"""Batch normalisation as the authors used it, exact in its second derivative."""

import contextlib
import contextvars

import keras
import tensorflow as tf

EPSILON = 1e-3  # added to the variance (PROTOCOL 2.3)
# So many numbers a channel TensorFlow's fused kernel adds up well enough: what it normalises is off by 3e-5 with 980 of
# them (float32 rounds to 3e-7), by 2e-4 with 3920.
FEW = 1000

_recorded = contextvars.ContextVar("recorded statistics", default=None)
_given = contextvars.ContextVar("given statistics", default=None)
_predicts_only = contextvars.ContextVar("predicts only", default=False)


@contextlib.contextmanager
def recorded_statistics():
    """Inside, every BatchNorm notes the mean and variance of its batch, task by task: {layer name: (mean, variance)}.

    Both are [..., 1, ..., 1, channels], of the batch's rank, with a task axis in front where the batch has one.
    """
    statistics = {}
    token = _recorded.set(statistics)
    try:
        yield statistics
    finally:
        _recorded.reset(token)


def averaged_statistics(statistics):
    """The mean over several batches of what `recorded_statistics` gives for each."""
    return tf.nest.map_structure(lambda *values: tf.reduce_mean(tf.stack(values), axis=0), *statistics)


@contextlib.contextmanager
def given_statistics(statistics, predict_only=False):
    """Inside, every BatchNorm uses these statistics, as `recorded_statistics` gives them, in place of its batch's own.

    The paper's method never does so; its ablations and the supervised baselines of Table 1 do.

    Args:
        statistics: {layer name: (mean, variance)}.
        predict_only: no gradient is taken inside. A max-pool after the norm is then computed before it, on the same
            values in a quarter of the numbers: the outputs have the same bits, the gradients would not.
    """
    token, predicts_token = _given.set(statistics), _predicts_only.set(predict_only)
    try:
        yield
    finally:
        _given.reset(token)
        _predicts_only.reset(predicts_token)


def predicts_with_given_statistics():
    """Whether the statistics are given and no gradient is taken."""
    return _given.get() is not None and _predicts_only.get()


class BatchNorm(keras.layers.Layer):
    """Normalises with the statistics of the very batch it is given, always, and adds a learned offset.

    As tf.contrib's layer in the authors' code (PROTOCOL 2.3): offset `beta` only, no scale, epsilon 0.001, biased
    variance over every axis but the channels, no moving averages. Support and query sets are normalised each by
    itself, at test too (transductive). An input with a leading task axis is normalised task by task.

    `tf.nn.moments` and Keras' BatchNormalization stop the gradient at the mean inside the variance. That leaves the
    first derivative right and loses a term of the second (measured: a Hessian-vector product off by 2.5 %), so the
    variance is written out here. On a CPU, for four-dimensional float32 batches, TensorFlow's fused kernels do the same
    in fewer passes over memory (`fused_batch_norm`; test_batch_norm.py compares the two).
    """

    def build(self, input_shape):
        self.batch_rank = len(input_shape)
        self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

    def call(self, x, shift=None):
        """Normalises x + `shift`, [..., channels]: the bias of the layer before.

        A shift moves a batch's mean as much as the batch, so its own statistics cancel it. Only given ones do not:
        elsewhere it is left out, and its derivative, the zero that it is, costs no pass over the batch.
        """
        axes = list(range(x.shape.rank - self.batch_rank, x.shape.rank - 1))

        def for_every_task(values):
            """[..., channels] beside the batch of the task that it belongs to."""
            return tf.reshape(values, [*values.shape[:-1], *[1] * len(axes), values.shape[-1]])

        if _recorded.get() is not None or _given.get() is not None:
            x = x if shift is None else x + for_every_task(tf.convert_to_tensor(shift))
            return self._with_statistics(x, axes, for_every_task(tf.convert_to_tensor(self.beta)))
        beta = self.offset(shift)
        if self.by_kernels(x):
            return fused_batch_norm(x, beta)
        centred = x - tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
        return centred * tf.math.rsqrt(variance + EPSILON) + for_every_task(beta)

    def offset(self, shift):
        """beta, on which `shift` has no influence: its derivative is zero, not None."""
        beta = tf.convert_to_tensor(self.beta)
        return beta if shift is None else beta + 0.0 * shift

    def by_kernels(self, x):
        """Whether a batch is one task's, on a CPU, with statistics of its own: what the fused forms are for."""
        if _recorded.get() is not None or _given.get() is not None or tf.config.list_physical_devices("GPU"):
            return False
        return x.shape.rank == self.batch_rank == 4 and x.dtype == tf.float32

    def _with_statistics(self, x, axes, beta):
        """`call` for a batch that notes or is given the statistics."""
        if _given.get() is not None:
            mean, variance = _given.get()[self.name]
        else:
            mean = tf.reduce_mean(x, axes, keepdims=True)
            variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=True)
            _recorded.get()[self.name] = (mean, variance)
        return (x - mean) * tf.math.rsqrt(variance + EPSILON) + beta


@tf.custom_gradient
def fused_batch_norm(x, beta):
    """`BatchNorm` by TensorFlow's fused kernels for the CPU, in the second derivative too.

    The statistics of large batches are computed before: the kernel adds up a channel's numbers one after the other,
    which leaves the variance of 75 x 84 x 84 of them off by 2e-4. With 20 x 14 x 14 of them, on Omniglot 20-way, a
    trained network's meta-gradient is off by 7 % against float64: in two tasks of 16 some unit's sign comes out wrong.
    Computed before, the statistics leave it off by 0.08 % and cost 2 % of the time.

    TensorFlow builds the second derivative of its kernel from some thirty single operations, each a pass over memory:
    on 5 x 84 x 84 images of 32 channels the way there and back took 20 ms with them and takes 13 ms so. With m and r
    the batch's mean and one over its standard deviation, x^ = (x - m) r, and E the mean over the batch, the first
    derivative carries g to

        b(g) = r (g - E[g] - x^ E[g x^]).

    b is linear in g and symmetric; its derivative in x, along w, comes to

        -r (E[g x^] b(w) + E[w x^] b(g) + x^ E[w b(g)]),

    where the kernel gives b(w) and, as the derivative by a scale, E[w x^].

    Args:
        x: float32 [n, height, width, channels].
        beta: the offset, [channels].

    Raises:
        LookupError: a third derivative is asked for.
    """
    scale, count = tf.ones_like(beta), tf.cast(tf.reduce_prod(tf.shape(x)[:3]), x.dtype)
    given = {"x": x, "scale": scale, "offset": beta, "epsilon": EPSILON}
    numbers = x.shape[:3].num_elements()  # a channel's; None where the shape is not known in advance
    if numbers is not None and numbers <= FEW:
        y, _, _, mean, variance, unused = tf.raw_ops.FusedBatchNormV3(mean=[], variance=[], is_training=True, **given)
    else:
        mean, variance = statistics_of(x)
        y, *_, unused = tf.raw_ops.FusedBatchNormV3(mean=mean, variance=variance, is_training=False, **given)

    def carried(g):
        """b(g), E[g x^] and the sum of g."""
        of_batch = {"reserve_space_1": mean, "reserve_space_2": variance, "reserve_space_3": unused}
        by_x, by_scale, by_offset, _, _ = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=g, x=x, scale=scale, **of_batch, epsilon=EPSILON, is_training=True
        )
        return by_x, by_scale / count, by_offset

    def gradient(g):
        @tf.custom_gradient
        def by_x_and_beta(x, g):
            by_x, g_along, by_beta = carried(g)

            def second(w, w_beta):
                w_by_x, w_along, _ = carried(w)
                r = tf.math.rsqrt(variance + EPSILON)
                both = tf.reduce_mean(w * by_x, [0, 1, 2])
                along_x = -(r * g_along) * w_by_x - (r * w_along) * by_x - (r * r * both) * (x - mean)
                return [
                    tf.raw_ops.PreventGradient(input=part, message="fused_batch_norm has no third derivative")
                    for part in (along_x, w_by_x + w_beta)
                ]

            return (by_x, by_beta), second

        return by_x_and_beta(x, g)

    return y, gradient


@tf.function(jit_compile=True, autograph=False)
def statistics_of(x):
    """Mean and variance over all axes but the last."""
    mean = channel_sums(x) / channel_size(x)
    return mean, channel_sums(tf.square(x - mean)) / channel_size(x)


def channel_sums(x):
    """Sums of [..., width, channels] over all axes but the last: along rows of images first, so that none gets long."""
    width, channels = x.shape[-2:]
    by_column = tf.reduce_sum(tf.reshape(x, [-1, width * channels]), axis=0)
    return tf.reduce_sum(tf.reshape(by_column, [width, channels]), axis=0)


def channel_size(x):
    """How many numbers each channel has, as a number of x's type."""
    return tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), x.dtype)
