"""Batch normalisation in few passes over memory on a CPU, exact in its second derivative.

The plain form is `maml_tf.models.batch_norm.batch_norm`; tests/ops/test_fused_batch_norm.py compares the two.

With m and r the batch's mean and one over its standard deviation, x^ = (x - m) r, and E the mean over the batch, the
gradient of batch norm carries an upstream gradient g to

    b(g) = r (g - E[g] - x^ E[g x^]).

b is linear in g and symmetric. Its derivative by x along w is

    -r (E[g x^] b(w) + E[w x^] b(g) + x^ E[w b(g)]).

TensorFlow's kernel for the first derivative gives b(w) and, as the derivative by a scale, E[w x^]. TensorFlow itself
builds the second derivative from some thirty operations, each of them a pass over memory.
"""

import tensorflow as tf

# Up to this many values per channel TensorFlow's fused kernel sums accurately enough. It adds them one after another,
# so the error of the statistics grows with their number (tests/models/test_batch_norm.py).
MAX_VALUES_SUMMED_BY_KERNEL = 1000


def fused_batch_norm(x: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Normalises a batch by its own statistics and adds an offset, with TensorFlow's fused kernels for the CPU.

    The statistics of large batches are computed beforehand. The kernel's own sums are inaccurate there: units change
    their sign, and the meta-gradient of a trained network is off by several per cent.

    Args:
        x: float32 [n, height, width, channels].
        beta: the offset, [channels].
        epsilon: added to the variance.

    Returns:
        [n, height, width, channels]

    Raises:
        LookupError: a third derivative is asked for.
    """

    @tf.custom_gradient
    def normalise(x, beta):
        scale, count = tf.ones_like(beta), tf.cast(tf.reduce_prod(tf.shape(x)[:3]), x.dtype)
        arguments = {"x": x, "scale": scale, "offset": beta, "epsilon": epsilon}
        values = x.shape[:3].num_elements()  # per channel; None where the shape is not known in advance
        if values is not None and values <= MAX_VALUES_SUMMED_BY_KERNEL:
            y, _, _, mean, variance, unused = tf.raw_ops.FusedBatchNormV3(
                mean=[], variance=[], is_training=True, **arguments
            )
        else:
            mean, variance = statistics_of(x)
            y, *_, unused = tf.raw_ops.FusedBatchNormV3(mean=mean, variance=variance, is_training=False, **arguments)

        def backpropagate(g):
            """b(g), E[g x^] and the sum of g."""
            statistics = {"reserve_space_1": mean, "reserve_space_2": variance, "reserve_space_3": unused}
            by_x, by_scale, by_offset, _, _ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=g, x=x, scale=scale, **statistics, epsilon=epsilon, is_training=True
            )
            return by_x, by_scale / count, by_offset

        def gradient(g):
            @tf.custom_gradient
            def first(x, g):
                by_x, g_along, by_beta = backpropagate(g)

                def second(w, w_beta):
                    w_by_x, w_along, _ = backpropagate(w)
                    r = tf.math.rsqrt(variance + epsilon)
                    both = tf.reduce_mean(w * by_x, [0, 1, 2])
                    along_x = -(r * g_along) * w_by_x - (r * w_along) * by_x - (r * r * both) * (x - mean)
                    return [
                        tf.raw_ops.PreventGradient(input=part, message="fused_batch_norm has no third derivative")
                        for part in (along_x, w_by_x + w_beta)
                    ]

                return (by_x, by_beta), second

            return first(x, g)

        return y, gradient

    return normalise(x, beta)


@tf.function(jit_compile=True, autograph=False)
def statistics_of(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance, [channels] each, over all axes of x but the last."""
    mean = channel_sums(x) / channel_size(x)
    return mean, channel_sums(tf.square(x - mean)) / channel_size(x)


def channel_sums(x: tf.Tensor) -> tf.Tensor:
    """Sums, [channels], of x [..., width, channels] over all axes but the last.

    The columns of the images are summed first, then the width: no sum is long, so that its rounding error is small.
    """
    width, channels = x.shape[-2:]
    by_column = tf.reduce_sum(tf.reshape(x, [-1, width * channels]), axis=0)
    return tf.reduce_sum(tf.reshape(by_column, [width, channels]), axis=0)


def channel_size(x: tf.Tensor) -> tf.Tensor:
    """The number of values per channel, a scalar of x's type."""
    return tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), x.dtype)
