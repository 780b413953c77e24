"""Random streams: the recorded seeds of the fixed task sets (PROTOCOL 1.5) and stateless draws from a seed.

Supervised trainings draw from (seed, 0), which differs from all seeds below. Policies train on streams of
[seed, iteration]. The stream of seed 1, iteration 1 is the one of the test, but the goals differ.
"""

from collections.abc import Sequence

import tensorflow as tf

TEST_TASKS = (1, 1)
VALIDATION_TASKS = (1, 2)
TUNING_TASKS = (1, 3)
MULTITASK_TASKS = (1, 4)


def uniform(seed: tf.Tensor | Sequence[int], shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Stateless uniform float32 numbers in [low, high), the same with and without XLA up to the last bit's rounding.

    TensorFlow's own kernel and XLA draw the same random bits (the generator is named) but make different floats of
    them: one takes the low 23 bits, the other the high ones. So the floats are made here, of the high ones.
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.int32, alg="philox")
    high_bits = tf.bitwise.right_shift(tf.bitcast(bits, tf.uint32), tf.constant(9, tf.uint32))
    return low + (high - low) * (tf.cast(high_bits, tf.float32) * 2.0**-23)


def split(seed: tf.Tensor | Sequence[int], num: int) -> list[tf.Tensor]:
    """`num` independent stateless seeds, int32 [2] each, from one."""
    return tf.unstack(tf.random.split(seed, num, alg="philox"))
