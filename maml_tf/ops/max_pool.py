"""The 2x2 max-pool, exact in its second derivative under XLA. The plain form is `tf.nn.max_pool2d`."""

import tensorflow as tf

from maml_tf.ops.plain import in_plain_form
from maml_tf.ops.shapes import sizes


def max_pool(x: tf.Tensor) -> tf.Tensor:
    """2x2 max-pool with stride 2 and VALID padding; of equal inputs the first takes the gradient.

    It is written as choices between neighbours. The second derivative of TensorFlow's own max-pool compares inputs that
    XLA rounds to bfloat16, which leaves the meta-gradient off by some per cent, and its kernels are slower on a CPU.

    Args:
        x: [..., height, width, channels]. Without a task axis the choices are compiled here; with one they are part of
            a program that is compiled as a whole.

    Returns:
        [..., height // 2, width // 2, channels]
    """
    if in_plain_form() and x.shape.rank == 4:
        return tf.nn.max_pool2d(x, 2, 2, "VALID")
    return _at_maxima_compiled(x, x) if x.shape.rank == 4 else at_maxima(x, x)


def max_pool_cut(x: tf.Tensor) -> tf.Tensor:
    """`max_pool` whose first derivative counts as a constant: its second derivative is zero.

    The authors' code has such a max-pool. The gradient that it registers for the gradient of max-pooling returns zeros
    for the incoming gradient, so a second derivative that passes through one is cut off there (PROTOCOL 5, row 33).

    Args:
        x: [..., height, width, channels].

    Returns:
        [..., height // 2, width // 2, channels]
    """

    if in_plain_form():  # first derivatives only
        return max_pool(x)

    @tf.custom_gradient
    def pool(x):
        def gradient(g):
            flat_x, flat_g = (tf.reshape(values, [-1, *values.shape[-3:]]) for values in (x, g))
            return tf.stop_gradient(tf.reshape(scatter_to_maxima(flat_g, flat_x), tf.shape(x)))

        return max_pool(x), gradient

    return pool(x)


def at_maxima(x: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The entries of `values` at the positions where the 2x2 windows of `x` have their maxima.

    Args:
        x, values: [..., height, width, channels] each.

    Returns:
        [..., height // 2, width // 2, channels]
    """
    upper, left_above, left_below = _choices(x)
    (upper_left, upper_right), (lower_left, lower_right) = _corners(values)
    above = tf.where(left_above, upper_left, upper_right)
    return tf.where(upper, above, tf.where(left_below, lower_left, lower_right))


_at_maxima_compiled = tf.function(at_maxima, jit_compile=True, autograph=False)


def scatter_to_maxima(values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """The transpose of `at_maxima`: `values` at the positions of the maxima of `x`, and zeros elsewhere.

    Args:
        values: [n, height // 2, width // 2, channels].
        x: [n, height, width, channels].

    Returns:
        [n, height, width, channels]
    """
    _, height, width, channels = x.shape
    upper, left_above, left_below = _choices(x)
    corner = tf.where(upper, tf.where(left_above, 0, 1), tf.where(left_below, 2, 3))
    corners = tf.reshape(tf.range(4), [2, 1, 2, 1])  # of a window, in the order of `_corners`
    spread = tf.where(corner[:, :, None, :, None] == corners, values[:, :, None, :, None], 0.0)
    spread = tf.reshape(spread, [-1, height // 2 * 2, width // 2 * 2, channels])
    return tf.pad(spread, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]])


def _corners(x):
    """The four entries of every 2x2 window of [..., height, width, channels].

    Returns:
        Two rows of two tensors, each [..., height // 2, width // 2, channels].
    """
    *leading, height, width, channels = sizes(x)
    whole = x[..., : height // 2 * 2, : width // 2 * 2, :]
    windows = tf.reshape(whole, [*leading, height // 2, 2, width // 2, 2, channels])
    return [tf.unstack(row, axis=-2) for row in tf.unstack(windows, axis=-4)]


def _choices(x):
    """Where windows have their maxima: whether in the upper row, and whether the left is the larger above and below."""
    (upper_left, upper_right), (lower_left, lower_right) = _corners(x)
    upper = tf.maximum(upper_left, upper_right) >= tf.maximum(lower_left, lower_right)
    return upper, upper_left >= upper_right, lower_left >= lower_right
