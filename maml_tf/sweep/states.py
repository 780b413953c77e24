"""What the run directories say: how far each training is, and whether another process is at work in it.

This reads three arrays of `state.npz` (maml_tf/training/checkpoint.py) without TensorFlow, so a sweep stays small.
"""

from __future__ import annotations

import enum
import pathlib
from typing import NamedTuple

from maml_tf._io import LOCK, UNREADABLE_NPZ, lock_or_holder, open_npz


class State(enum.StrEnum):
    """The state of a job."""

    WAITING = "waiting"  # for a free place, or for the jobs that it needs
    QUEUED = "queued"  # the launcher has it
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    ELSEWHERE = "elsewhere"  # a process that this sweep did not start trains there


class Reached(NamedTuple):
    """What a training has saved: the iterations done, the seconds that they took, and whether it has ended."""

    iteration: int = 0
    seconds: float = 0.0
    ended: bool = False


def read_reached(run_folder: pathlib.Path, iterations: int) -> Reached:
    """How far the training of a run directory is.

    A file that is missing or damaged is a training at iteration 0: the training itself says what is wrong with it.

    Args:
        run_folder: the run directory.
        iterations: of the whole training.
    """
    try:
        with open_npz(run_folder / "state.npz") as archive:
            iteration, seconds = int(archive["iteration"]), float(archive["seconds"].sum())
            ended = iteration >= iterations and "validation_due" not in archive
    except UNREADABLE_NPZ:
        return Reached()
    return Reached(iteration, seconds, ended)


def process_at_work(run_folder: pathlib.Path) -> str | None:
    """The process that holds the lock of a run directory, in words; None if the lock is free.

    The lock is taken for a moment, so call it before a job is started, not while one starts.
    """
    try:
        with open(run_folder / LOCK, "r+", encoding="utf-8") as lock:
            return lock_or_holder(lock)
    except OSError:  # no lock, or none that this user may take
        return None
