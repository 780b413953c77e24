"""First and second derivatives of a normalisation."""

import tensorflow as tf


def derivatives(normalise, x, beta, upstream, along, along_beta):
    """The output of a normalisation with its first and second derivatives.

    Args:
        normalise: (x, beta) -> output.
        x, beta: the batch and the offset.
        upstream: the direction, like the output, of the first derivatives.
        along, along_beta: the directions, like x and beta, of the second ones.

    Returns:
        (output, its derivatives along `upstream` by x and by beta, and the derivatives of their products with `along`
        and `along_beta` by x and by `upstream`)
    """
    with tf.GradientTape() as outer:
        outer.watch([x, upstream])
        with tf.GradientTape() as inner:
            inner.watch([x, beta])
            y = normalise(x, beta)
        by_x, by_beta = inner.gradient(y, [x, beta], upstream)
        total = tf.reduce_sum(by_x * along) + tf.reduce_sum(by_beta * along_beta)
    return y, by_x, by_beta, *outer.gradient(total, [x, upstream])
