"""Random streams: the recorded seeds of the fixed task sets (PROTOCOL 1.5) and stateless draws from a seed.

A seed is two integers. Supervised training uses (seed, 0), which differs from all seeds below. Policies are trained
with NumPy generators of [seed, iteration]. That of seed 1 and iteration 1 has the same two integers as the test set,
but the goals differ.
"""

from collections.abc import Sequence

import tensorflow as tf

TEST_TASKS = (1, 1)
VALIDATION_TASKS = (1, 2)
TUNING_TASKS = (1, 3)
MULTITASK_TASKS = (1, 4)


def uniform(seed: tf.Tensor | Sequence[int], shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Uniform float32 numbers in [low, high), the same with and without XLA up to the rounding of the last bit.

    TensorFlow's kernel and XLA draw the same random bits from the named generator, but make different numbers of them:
    one uses the low 23 bits, the other the high ones. So the numbers are made here, from the high bits.

    Args:
        seed: stateless seed, int32 [2].
        shape: of the result.
        low, high: the interval.
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.int32, alg="philox")
    high_bits = tf.bitwise.right_shift(tf.bitcast(bits, tf.uint32), tf.constant(9, tf.uint32))
    return low + (high - low) * (tf.cast(high_bits, tf.float32) * 2.0**-23)


def split(seed: tf.Tensor | Sequence[int], num: int) -> list[tf.Tensor]:
    """Makes `num` independent stateless seeds, int32 [2] each, from one."""
    return tf.unstack(tf.random.split(seed, num, alg="philox"))
