"""Jobs on this machine: each on its own cores, no more at a time than there are cores for."""

import dataclasses
import os
import sys
import time

import pytest

from maml_tf.errors import UsageError
from maml_tf.sweep.local import LocalLauncher

REPORT = "import os; print(sorted(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'])"


def finish(launcher, count):
    ended, deadline = [], time.monotonic() + 120
    while len(ended) < count and time.monotonic() < deadline:
        ended += launcher.poll()
        time.sleep(0.02)
    return ended


def test_a_job_has_its_cores_and_the_next_one_gets_them_afterwards(training):
    cores = sorted(os.sched_getaffinity(0))
    jobs = [dataclasses.replace(training(f"job{n}"), command=(sys.executable, "-c", REPORT)) for n in range(2)]
    launcher = LocalLauncher(len(cores))
    launcher.submit(jobs)
    assert not jobs[1].log.exists()  # no place for it yet
    assert [(one.job.name, one.code) for one in finish(launcher, 2)] == [("job0", 0), ("job1", 0)]
    for job in jobs:
        assert job.log.read_text().splitlines()[-1] == f"{cores} {len(cores)}"


def test_more_cores_than_there_are_is_an_error():
    with pytest.raises(UsageError, match="--cores-per-run 100000: this process may use"):
        LocalLauncher(100_000)
