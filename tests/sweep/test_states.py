"""What a sweep reads in the files that trainings write."""

import tensorflow as tf

from maml_tf.sweep.states import Reached, process_at_work, read_reached
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import LOCK, Checkpoint, RunDirectory


def write(folder, iteration, **fields):
    state = TrainingState.start([tf.zeros([2])])._replace(iteration=tf.constant(iteration))
    RunDirectory(folder).write(Checkpoint(state, seconds=1.5, validation_seconds=2.0, **fields))
    return read_reached(folder, 10)


def test_how_far_a_training_is(tmp_path):
    assert read_reached(tmp_path, 10) == Reached(0, 0.0, False)
    assert write(tmp_path, 4) == Reached(4, 3.5, False)
    assert write(tmp_path, 10, validation_due=True) == Reached(10, 3.5, False)
    assert write(tmp_path, 10) == Reached(10, 3.5, True)
    (tmp_path / "state.npz").write_bytes(b"PK damaged")
    assert read_reached(tmp_path, 10) == Reached(0, 0.0, False)


def test_who_holds_a_run_directory(tmp_path):
    assert process_at_work(tmp_path) is None
    with RunDirectory(tmp_path).locked():
        assert process_at_work(tmp_path).startswith("process ")
    assert (tmp_path / LOCK).exists()
    assert process_at_work(tmp_path) is None
