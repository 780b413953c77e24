"""Jobs as processes of this machine, each on its own cores."""

from __future__ import annotations

import collections
import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from maml_tf.errors import UsageError
from maml_tf.runtime import available_cores
from maml_tf.sweep.jobs import Job
from maml_tf.sweep.launcher import Ended
from maml_tf.sweep.processes import start


class _Running(NamedTuple):
    job: Job
    process: subprocess.Popen
    cores: tuple[int, ...]


class LocalLauncher:
    """Runs as many jobs at a time as there are cores for (see `Launcher`).

    Args:
        cores_per_run: cores of each job.

    Raises:
        UsageError: a job cannot have that number of cores here.
    """

    def __init__(self, cores_per_run: int):
        available = available_cores()
        if cores_per_run > available:
            raise UsageError(f"--cores-per-run {cores_per_run}: this process may use {available} cores")
        numbers = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(available))
        self._free = [
            tuple(numbers[index * cores_per_run : (index + 1) * cores_per_run])
            for index in range(available // cores_per_run)
        ]
        self._queue: collections.deque[Job] = collections.deque()
        self._running: list[_Running] = []
        self._dropped: list[Job] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """See `Launcher.submit`."""
        self._queue.extend(jobs)
        self._start()

    def poll(self) -> list[Ended]:
        """See `Launcher.poll`."""
        ended = [Ended(job, None, "not started") for job in self._dropped]
        self._dropped = []
        for one in list(self._running):
            code = one.process.poll()
            if code is not None:
                self._running.remove(one)
                self._free.append(one.cores)
                ended.append(Ended(one.job, code))
        self._start()
        return ended

    def stop(self, number: int) -> None:
        """See `Launcher.stop`."""
        self._dropped += self._queue
        self._queue.clear()
        for one in self._running:
            one.process.send_signal(number)

    def _start(self) -> None:
        while self._queue and self._free:
            job, cores = self._queue.popleft(), self._free.pop(0)
            self._running.append(_Running(job, start(job, len(cores), cores, own_session=True), cores))
