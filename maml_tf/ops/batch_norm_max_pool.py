"""Batch normalisation with the 2x2 max-pool behind it."""

import tensorflow as tf

from maml_tf.models.batch_norm import (
    EPSILON,
    BatchNorm,
    channel_size,
    channel_sums,
    predicts_with_given_statistics,
    statistics_of,
)


class BatchNormMaxPool(BatchNorm):
    """BatchNorm, then a 2x2 max-pool with stride 2, VALID: an odd last row or column counts in the statistics only."""

    def call(self, x, shift=None):
        """As BatchNorm's, pooled: [..., height, width, channels] -> [..., height // 2, width // 2, channels]."""
        if self.by_kernels(x):
            return fused_norm_and_pool(x, self.offset(shift))
        if predicts_with_given_statistics():
            # Adding a constant and multiplying by a positive one, each rounded, never swap two numbers: the maximum
            # of the normalised numbers is the normalised maximum, to the bit.
            return super().call(max_pool(x), shift)
        return max_pool(super().call(x, shift))


def max_pool(x):
    """2x2 max-pool, stride 2, VALID, of [..., height, width, channels]; of equal inputs the first takes the gradient.

    Written as choices between neighbours: under XLA the second derivative of TensorFlow's own max-pool compares the
    inputs rounded to bfloat16, and puts the meta-gradient off by about 2 %; by its kernels it takes 4 ms where this,
    compiled, takes 0.4 (5 x 84 x 84 images of 32 channels; measured). With a task axis it stands in a program that is
    compiled as a whole, and is left to that.
    """
    return _at_maxima_compiled(x, x) if x.shape.rank == 4 else _at_maxima(x, x)


@tf.custom_gradient
def fused_norm_and_pool(x, beta):
    """`BatchNormMaxPool` in few passes over memory, compiled, on a CPU.

    A query set of 75 x 84 x 84 numbers for each of 32 channels leaves every cache between one pass and the next. The
    passes one after the other (statistics, normalise, pool; back through pool and norm; through all of that again in
    the inner steps) were most of the 37 % of a mini-ImageNet meta-iteration that are not convolutions. As here it takes
    0.87 of the time.

    Batch norm without a learned scale leaves the order of a channel's numbers as it is, so the maxima may be taken
    first, and a quarter of the numbers is normalised. With x^ = (x - m) r as in `fused_batch_norm`, P taking the
    maxima's places out of a batch and P' putting numbers back there, between zeros, the output is P x^ + beta, and

        b(P' g),    b(g) = r (g - E[g] - x^ E[g x^]),

    the first derivative. The second, of b(P' g) along w, is P b(w) in g and, with G = P' g, in x

        -r (E[G x^] b(w) + E[w x^] b(G) + x^ E[w b(G)]).

    E is the mean over the batch, and E[G] = sum(g) / N as G has no other numbers: sums over a quarter do.

    Args:
        x: float32 [n, height, width, channels].
        beta: the offset, [channels].

    Returns:
        [n, height // 2, width // 2, channels]

    Raises:
        LookupError: a third derivative is asked for.
    """
    mean, variance = statistics_of(x)
    maxima = max_pool(x)
    r = tf.math.rsqrt(variance + EPSILON)

    def gradient(g):
        @tf.custom_gradient
        def by_x_and_beta(x, g):
            by_x, by_beta = _first(x, maxima, g, mean, r)

            def second(w, w_beta):
                by_x, by_g = _second(x, maxima, g, mean, r, w)
                return [
                    tf.raw_ops.PreventGradient(input=part, message="fused_norm_and_pool has no third derivative")
                    for part in (by_x, by_g + w_beta)
                ]

            return (by_x, by_beta), second

        return by_x_and_beta(x, g)

    return (maxima - mean) * r + beta, gradient


@tf.function(jit_compile=True, autograph=False)
def _first(x, maxima, g, mean, r):
    """b(P' g) and the sum of g."""
    count, sum_g = channel_size(x), channel_sums(g)
    g_along = channel_sums(g * (maxima - mean)) * r / count  # E[G x^]
    return r * (_put_back(g, x) - sum_g / count - (x - mean) * (r * g_along)), sum_g


@tf.function(jit_compile=True, autograph=False)
def _second(x, maxima, g, mean, r, w):
    """The derivatives of b(P' g) along w, by x and by g."""
    count = channel_size(x)
    w_there = _at_maxima(x, w)
    mean_g, mean_w = channel_sums(g) / count, channel_sums(w) / count
    g_along = channel_sums(g * (maxima - mean)) * r / count  # E[G x^]
    w_along = channel_sums(w * (x - mean)) * r / count  # E[w x^]
    both = r * (channel_sums(w_there * g) / count - mean_w * mean_g - w_along * g_along)  # E[w b(G)]

    def b(values, mean_values, along, at):
        return r * (values - mean_values - (at - mean) * (r * along))

    b_w, b_g = b(w, mean_w, w_along, x), b(_put_back(g, x), mean_g, g_along, x)
    by_x = -r * (g_along * b_w + w_along * b_g + (x - mean) * (r * both))
    return by_x, b(w_there, mean_w, w_along, maxima)


def _corners(x):
    """The four numbers of every 2x2 window of [..., height, width, channels], two rows of two, each [..., height // 2,
    width // 2, channels]."""
    *leading, height, width, channels = x.shape
    leading = [-1 if size is None else size for size in leading]
    whole = x[..., : height // 2 * 2, : width // 2 * 2, :]
    windows = tf.reshape(whole, [*leading, height // 2, 2, width // 2, 2, channels])
    return [tf.unstack(row, axis=-2) for row in tf.unstack(windows, axis=-4)]


def _choices(x):
    """Where windows have their maxima: whether in the upper row, and whether the left is the larger above and below."""
    (upper_left, upper_right), (lower_left, lower_right) = _corners(x)
    upper = tf.maximum(upper_left, upper_right) >= tf.maximum(lower_left, lower_right)
    return upper, upper_left >= upper_right, lower_left >= lower_right


def _at_maxima(x, values):
    """`values` where `x`, alike in shape, has its windows' maxima: [..., height // 2, width // 2, channels]."""
    upper, left_above, left_below = _choices(x)
    (upper_left, upper_right), (lower_left, lower_right) = _corners(values)
    above = tf.where(left_above, upper_left, upper_right)
    return tf.where(upper, above, tf.where(left_below, lower_left, lower_right))


_at_maxima_compiled = tf.function(_at_maxima, jit_compile=True, autograph=False)


def _put_back(values, x):
    """P': `values` [n, height // 2, width // 2, channels] where `x` has its maxima, zeros elsewhere; in x's shape."""
    _, height, width, channels = x.shape
    upper, left_above, left_below = _choices(x)
    place = tf.where(upper, tf.where(left_above, 0, 1), tf.where(left_below, 2, 3))
    places = tf.reshape(tf.range(4), [2, 1, 2, 1])  # of a window, as `_corners` has them
    spread = tf.where(place[:, :, None, :, None] == places, values[:, :, None, :, None], 0.0)
    spread = tf.reshape(spread, [-1, height // 2 * 2, width // 2 * 2, channels])
    return tf.pad(spread, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]])
