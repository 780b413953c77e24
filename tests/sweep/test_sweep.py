"""The sweep: finished jobs are left out, stopped ones resumed, failed ones tried again, signals passed on."""

import fcntl
import os
import signal
import threading
import time

import pytest

from maml_tf.sweep.local import LocalLauncher
from maml_tf.sweep.states import State
from maml_tf.sweep.sweep import Sweep, rows_of
from maml_tf.training.stopping import TrainingStoppedError


def sweep(jobs, retries=0, show=lambda rows: None, launcher=None):
    rows = rows_of(jobs)
    Sweep(rows, launcher or LocalLauncher(1), retries, show).run()
    return {row.job.name: row for row in rows}


def test_trainings_are_resumed_tried_again_and_then_tested(training, a_test_of):
    modes = {"plain": "finishes", "twice": "fails once", "shot": "is killed once"}
    jobs = [training(name, mode) for name, mode in modes.items()]
    rows = sweep([*jobs, a_test_of(*jobs)], retries=1)
    assert {row.state for row in rows.values()} == {State.FINISHED}
    assert [row.tries for row in rows.values()] == [1, 2, 2, 1]
    logs = [job.log.read_text() for job in jobs]
    assert [text.count("started\n") for text in logs] == [1, 1, 1]
    assert [text.count("resumed\n") for text in logs] == [0, 1, 1]
    assert "testing ('plain', 'twice', 'shot')" in rows["test"].job.log.read_text()
    again = sweep([*jobs, a_test_of(*jobs)])
    assert [row.tries for row in again.values()] == [0, 0, 0, 1]


def test_a_job_that_fails_keeps_its_test_waiting_and_no_other(training, a_test_of):
    jobs = [training("good"), training("bad", "fails always"), training("empty", "never saves")]
    rows = sweep([*jobs, a_test_of(*jobs)], retries=1)
    assert [rows[name].state for name in ("good", "bad", "empty", "test")] == [
        State.FINISHED,
        State.FAILED,
        State.FAILED,
        State.WAITING,
    ]
    assert (rows["bad"].tries, rows["bad"].reason) == (2, "ended with exit code 1")
    assert "holds no finished training: do all machines share it?" in rows["empty"].reason


def test_a_training_that_another_process_has_is_left_alone(training, a_test_of):
    job = training("busy")
    job.run_folder.mkdir()
    with open(job.run_folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 7 on a node")
        lock.flush()
        rows = sweep([job, a_test_of(job)])
    assert (rows["busy"].state, rows["busy"].reason) == (State.ELSEWHERE, "process 7 on a node")
    assert (rows["test"].state, rows["busy"].tries) == (State.WAITING, 0)
    assert sweep([job])["busy"].state == State.FINISHED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_jobs_which_save_and_the_sweep_goes_on_later(training, monkeypatch, number):
    monkeypatch.setattr("maml_tf.sweep.local.available_cores", lambda: 1)
    jobs = [training("first", "waits"), training("second")]
    rows = rows_of(jobs)

    def send():
        deadline = time.monotonic() + 60
        while not (jobs[0].run_folder / "state.npz").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(TrainingStoppedError, match="0 of 2 jobs are finished") as stopped:
        Sweep(rows, LocalLauncher(1), 0, lambda rows: None).run()
    thread.join()
    assert stopped.value.number == number
    assert [(row.state, row.reached.iteration) for row in rows] == [(State.STOPPED, 4), (State.WAITING, 0)]
    assert "saved after the signal" in jobs[0].log.read_text()
    assert not jobs[1].log.exists()
    assert {row.state for row in sweep(jobs).values()} == {State.FINISHED}


def test_rate_and_remaining_time_are_of_the_last_try(training):
    (row,) = rows_of([training("one")])
    assert row.rate != row.rate  # not known yet
    row.first = row.first._replace(iteration=2, seconds=10.0)
    row.reached = row.first._replace(iteration=4, seconds=14.0)
    assert (row.rate, row.remaining) == (0.5, 4.0)
