"""First and second derivatives of a normalisation."""

import tensorflow as tf


def derivatives(layer, x, upstream, along, along_beta):
    """The output, its derivatives along `upstream` by x and beta, and theirs along `along` by x and `upstream`."""
    with tf.GradientTape() as outer:
        outer.watch([x, upstream])
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layer(x)
        by_x, by_beta = inner.gradient(y, [x, layer.beta.value], upstream)
        total = tf.reduce_sum(by_x * along) + tf.reduce_sum(by_beta * along_beta)
    return y, by_x, by_beta, *outer.gradient(total, [x, upstream])
