"""What every launcher does: it is given jobs and reports how each of them ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from maml_tf.sweep.jobs import Job


class Ended(NamedTuple):
    """The end of a job: the exit code of its command, or the reason why there is none."""

    job: Job
    code: int | None
    reason: str = ""


class Launcher(Protocol):
    """Runs jobs, on this machine or on others."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Takes jobs. Each runs as soon as there is a place for it."""

    def poll(self) -> list[Ended]:
        """The jobs that have ended since the last call. It returns at once."""
        ...

    def stop(self, number: int) -> None:
        """Passes a signal on to the jobs that run, and drops the others.

        Every job that was submitted is still reported by `poll`.
        """
