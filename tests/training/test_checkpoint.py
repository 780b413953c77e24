"""Checkpoints: written and read without loss; their format is that of trainings under way."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory, load_or_init

PARAMS = [tf.constant([[1.0, 2.0]]), tf.constant([3.0])]
# What a checkpoint of two parameters holds; a training of an older version must stay readable.
KEYS = {"iteration", "seconds", "losses", "validations"} | {
    f"{name}_{index}" for name in ("params", "first", "second", "best") for index in range(2)
}
KEYS |= {"best_score", "best_iteration", "trained_at", "origin", "physics_failures"}
KEYS |= {"data", "open_losses", "open_iterations", "validation_due"}


def full_checkpoint():
    state = TrainingState(tf.constant(7), PARAMS, [p + 1 for p in PARAMS], [p + 2 for p in PARAMS])
    return Checkpoint(
        state,
        best_params=[p + 3 for p in PARAMS],
        best_score=0.5,
        best_iteration=6,
        losses=[[3.0, 0.25], [7.0, 0.125]],
        validations=[[6.0, 0.5]],
        seconds=1.5,
        validation_seconds=0.5,
        physics_failures=2,
        imported_from={"trained_on": "a GPU"},
        trained_at=["a"],
        data={"images": "0123"},
        open_losses=(np.float32(0.75), 3),
        validation_due=True,
    )


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    written, run_dir = full_checkpoint(), RunDirectory(tmp_path)
    run_dir.write(written)
    with np.load(run_dir.state_file) as archive:
        assert set(archive.files) == KEYS
        assert archive["iteration"].dtype == archive["best_iteration"].dtype == np.int32
    read = run_dir.read()
    for ours, theirs in zip(tf.nest.flatten(read.state), tf.nest.flatten(written.state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name in ("best_score", "best_iteration", "losses", "validations", "seconds", "validation_seconds"):
        assert getattr(read, name) == getattr(written, name), name
    assert (read.physics_failures, read.imported_from, read.trained_at) == (2, {"trained_on": "a GPU"}, ["a"])
    assert (read.data, read.open_losses, read.validation_due) == ({"images": "0123"}, (0.75, 3), True)
    assert [p.numpy().tolist() for p in read.params] == [[[4.0, 5.0]], [6.0]]


def test_without_validation_the_last_parameters_are_chosen(tmp_path):
    run_dir = RunDirectory(tmp_path)
    run_dir.write(Checkpoint(TrainingState.start(PARAMS)))
    read = run_dir.read()
    assert read.best_params is None
    assert read.params is read.state.params
    assert np.isnan(read.best_score)


def test_of_equal_scores_the_first_is_chosen():
    checkpoint = Checkpoint(TrainingState.start(PARAMS))
    for iteration, score in enumerate([1.0, 5.0, 3.0, 5.0]):
        checkpoint.add_validation(iteration, [PARAMS[0] + iteration], score)
    assert (checkpoint.best_iteration, checkpoint.best_score) == (1, 5.0)
    assert checkpoint.params[0].numpy().tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize("content", [b"not an archive", b""])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / "state.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"state.npz: not a saved training .* --restart trains from the beginning"):
        load_or_init(RunDirectory(tmp_path), PARAMS, 10, resume=True)


def test_an_unfinished_training_is_loaded_on_request_only(tmp_path):
    run_dir = RunDirectory(tmp_path)
    assert load_or_init(run_dir, PARAMS, 10, resume=False).iteration == 0
    run_dir.write(dataclasses.replace(full_checkpoint(), validation_due=False))
    with pytest.raises(UsageError, match=r"stopped at iteration 7 of 10: --resume .* --restart"):
        load_or_init(run_dir, PARAMS, 10, resume=False)
    assert load_or_init(run_dir, PARAMS, 10, resume=True).iteration == 7
    assert load_or_init(run_dir, PARAMS, 7, resume=False).iteration == 7
    run_dir.write(full_checkpoint())
    with pytest.raises(UsageError, match=r"stopped at iteration 7 of 7"):  # its validation is still due
        load_or_init(run_dir, PARAMS, 7, resume=False)
    assert load_or_init(None, PARAMS, 7, resume=False).iteration == 0


def test_the_commits_that_trained_are_recorded_in_order(tmp_path):
    RunDirectory(tmp_path).write(Checkpoint(TrainingState.start(PARAMS)))
    assert RunDirectory(tmp_path).read().trained_at == []
    for commit in ("a", "a", "b", "a", None):
        RunDirectory(tmp_path, commit).write(RunDirectory(tmp_path).read())
    assert RunDirectory(tmp_path).read().trained_at == ["a", "b", "a"]


def test_a_checkpoint_of_other_data_is_refused_and_one_without_a_record_is_taken(tmp_path):
    RunDirectory(tmp_path).write(Checkpoint(TrainingState.start(PARAMS)))
    RunDirectory(tmp_path, data={"images": "b"}).read()  # of a version that recorded no data
    RunDirectory(tmp_path, data={"images": "a"}).write(Checkpoint(TrainingState.start(PARAMS)))
    assert RunDirectory(tmp_path, data={"images": "a"}).read().data == {"images": "a"}
    with pytest.raises(UsageError, match=r"the SHA-256 of images was a, now it is b. --data names"):
        RunDirectory(tmp_path, data={"images": "b"}).read()


def test_a_directory_is_cleared_but_for_its_lock(tmp_path):
    run_dir = RunDirectory(tmp_path)
    with run_dir.locked():
        run_dir.write(full_checkpoint())
        (tmp_path / "test_parts").mkdir()
        run_dir.clear()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
