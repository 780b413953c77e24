"""The processes of the implementations."""

import os
import sys

import numpy as np
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


def test_an_implementation_that_is_killed_is_told_from_one_that_fails(tmp_path):
    """PyTorch's vmap of the 5-shot cell did not fit beside the others, and its log was empty."""
    np.savez(tmp_path / "problem.npz", problem="{}")
    cores = os.sched_getaffinity(0)
    worker = WorkerProcess(sys.executable, "sgemm", "sgemm", tmp_path / "problem.npz", cores, tmp_path / "log.txt")
    try:
        worker.ask(1)
        worker.process.kill()
        with pytest.raises(ImplementationFailedError, match="killed, as a system does that runs out of memory"):
            worker.ask(1)
    finally:
        worker.close()
