"""The processes of the implementations."""

import os
import sys

import pytest

from benchmarks.processes import ImplementationFailedError, WorkerProcess


def test_an_implementation_that_fails_says_why(tmp_path):
    cores, problem = os.sched_getaffinity(0), tmp_path / "missing.npz"
    worker = WorkerProcess(sys.executable, "sgemm", "sgemm", problem, cores, tmp_path / "log.txt")
    try:
        with pytest.raises(ImplementationFailedError, match=r"FileNotFoundError.*missing\.npz"):
            worker.ask(1)
    finally:
        worker.close()
