"""Shapes of which a part may be known only when the function runs."""

import tensorflow as tf


def sizes(x: tf.Tensor) -> list:
    """The size of every axis of x: a number where it is known, otherwise a scalar tensor."""
    known = x.shape.as_list()
    if None not in known:
        return known
    running = tf.shape(x)
    return [running[axis] if size is None else size for axis, size in enumerate(known)]
