"""The length of a call: about two seconds, approached step by step."""

from maml_tf.training.pace import CALL_SECONDS, GROWTH, Pace


def test_the_length_follows_the_speed():
    pace = Pace()
    assert pace.iterations == 1
    pace.took(1, 0.0)
    assert pace.iterations == GROWTH  # one fast iteration says little
    pace.took(8, 8 * 0.01)
    assert pace.iterations == GROWTH * 8
    pace.took(64, 64 * 0.1)
    assert pace.iterations == round(CALL_SECONDS / 0.1)
    pace.took(20, 20 * 60.0)
    assert pace.iterations == 1
