"""Batch normalisation and the 2x2 max-pool after it as one operation, in few passes over memory on a CPU.

The plain form is batch norm, then max-pool; tests/ops/test_batch_norm_max_pool.py compares the two.

Batch norm without a learned scale keeps the order of a channel's values. So the maxima may be taken first, and only a
quarter of the values is normalised. With m, r, x^, b and E as in `fused_batch_norm`, P taking the values at the maxima
out of a batch and P' putting values back there, between zeros, the output is P x^ + beta and its derivative is b(P' g).
The second derivative, of b(P' g) along w, is P b(w) by g and, with G = P' g, by x

    -r (E[G x^] b(w) + E[w x^] b(G) + x^ E[w b(G)]).

G is zero away from the maxima, so its sums run over a quarter of the values: E[G] = sum(g) / N.
"""

import tensorflow as tf

from maml_tf.ops.fused_batch_norm import channel_size, channel_sums, statistics_of
from maml_tf.ops.max_pool import at_maxima, max_pool, scatter_to_maxima


def fused_batch_norm_max_pool(x: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Normalises a batch by its own statistics, adds an offset, and takes the maxima of 2x2 windows.

    Args:
        x: float32 [n, height, width, channels].
        beta: the offset, [channels].
        epsilon: added to the variance.

    Returns:
        [n, height // 2, width // 2, channels]

    Raises:
        LookupError: a third derivative is asked for.
    """

    @tf.custom_gradient
    def normalise_and_pool(x, beta):
        mean, variance = statistics_of(x)
        maxima = max_pool(x)
        r = tf.math.rsqrt(variance + epsilon)

        def gradient(g):
            @tf.custom_gradient
            def first(x, g):
                by_x, by_beta = _first(x, maxima, g, mean, r)

                def second(w, w_beta):
                    by_x, by_g = _second(x, maxima, g, mean, r, w)
                    message = "fused_batch_norm_max_pool has no third derivative"
                    return [tf.raw_ops.PreventGradient(input=part, message=message) for part in (by_x, by_g + w_beta)]

                return (by_x, by_beta), second

            return first(x, g)

        return (maxima - mean) * r + beta, gradient

    return normalise_and_pool(x, beta)


@tf.function(jit_compile=True, autograph=False)
def _first(x, maxima, g, mean, r):
    """b(P' g) and the sum of g."""
    count, sum_g = channel_size(x), channel_sums(g)
    g_along = channel_sums(g * (maxima - mean)) * r / count  # E[G x^]
    return r * (scatter_to_maxima(g, x) - sum_g / count - (x - mean) * (r * g_along)), sum_g


@tf.function(jit_compile=True, autograph=False)
def _second(x, maxima, g, mean, r, w):
    """The derivatives of b(P' g) along w, by x and by g."""
    count = channel_size(x)
    w_there = at_maxima(x, w)
    mean_g, mean_w = channel_sums(g) / count, channel_sums(w) / count
    g_along = channel_sums(g * (maxima - mean)) * r / count  # E[G x^]
    w_along = channel_sums(w * (x - mean)) * r / count  # E[w x^]
    both = r * (channel_sums(w_there * g) / count - mean_w * mean_g - w_along * g_along)  # E[w b(G)]

    def b(values, mean_values, along, at):
        return r * (values - mean_values - (at - mean) * (r * along))

    b_w, b_g = b(w, mean_w, w_along, x), b(scatter_to_maxima(g, x), mean_g, g_along, x)
    by_x = -r * (g_along * b_w + w_along * b_g + (x - mean) * (r * both))
    return by_x, b(w_there, mean_w, w_along, maxima)
