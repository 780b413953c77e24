"""Jobs by submitit, run by its executor for processes of this machine."""

import importlib.util
import time

import pytest

from maml_tf.errors import UsageError
from maml_tf.sweep.slurm import SlurmLauncher, SlurmTask
from maml_tf.sweep.states import State
from maml_tf.sweep.sweep import Sweep, rows_of

INSTALLED = importlib.util.find_spec("submitit") is not None
needs_submitit = pytest.mark.skipif(not INSTALLED, reason="submitit is not installed (maml_tf[slurm])")


@pytest.mark.skipif(INSTALLED, reason="submitit is installed")
def test_without_submitit_the_error_says_what_to_install(tmp_path):
    with pytest.raises(UsageError, match=r"pip install 'maml_tf\[slurm\]'"):
        SlurmLauncher(1, tmp_path, {})


@needs_submitit
def test_without_slurm_the_error_says_so(tmp_path):
    with pytest.raises(UsageError, match="--launcher slurm: Slurm cannot be used here"):
        SlurmLauncher(1, tmp_path, {})


@needs_submitit
def test_a_sweep_by_submitit(training, a_test_of, tmp_path):
    jobs = [training("twice", "fails once"), training("bad", "fails always")]
    rows = rows_of([*jobs, a_test_of(jobs[0])])
    launcher = SlurmLauncher(1, tmp_path / "slurm", {"partition": "long"}, cluster="local")
    Sweep(rows, launcher, 1, lambda rows: None).run()
    assert [(row.state, row.tries) for row in rows] == [(State.FINISHED, 2), (State.FAILED, 2), (State.FINISHED, 1)]
    assert rows[1].reason == "ended with exit code 1"


@needs_submitit
def test_a_job_that_slurm_interrupts_saves_and_is_submitted_again(training):
    job = training("one", "waits")
    task = SlurmTask(job, 1)
    task.start()
    deadline = time.monotonic() + 60
    while not (job.run_folder / "state.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    again = task.checkpoint()
    assert rows_of([job])[0].reached.iteration == 4
    assert again.function() == 0
    assert rows_of([job])[0].state == State.FINISHED
