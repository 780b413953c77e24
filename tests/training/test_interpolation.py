"""The outer update of Reptile."""

import numpy as np
import tensorflow as tf

from maml_tf.training.interpolation import Interpolation


def test_interpolation_moves_a_part_of_the_way():
    optimizer = Interpolation(lambda iteration: 0.5 / tf.cast(iteration + 1, tf.float32))
    state = optimizer.start([tf.constant([4.0])])
    for expected in (2.0, 1.5):  # towards 0: half of the way, then a quarter
        state = optimizer.apply(state, [state.params[0]])
        np.testing.assert_array_equal(state.params[0], [expected])
    assert int(state.iteration) == 2
