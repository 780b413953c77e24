"""Jobs on a Ray cluster, as Core tasks."""

from __future__ import annotations

import importlib
import logging
import re
import socket
from collections.abc import Sequence
from typing import Any

from maml_tf.errors import UsageError
from maml_tf.sweep.jobs import Job
from maml_tf.sweep.launcher import Ended
from maml_tf.sweep.processes import run
from maml_tf.training.stopping import raise_for_signals

NODE_FAILURES = 10  # so often Ray starts a job again whose node or worker is lost
SECONDS_TO_ANSWER = 10


class RayLauncher:
    """Gives jobs to the nodes of a Ray cluster (see `Launcher`). The folder of runs must be the same on every node.

    A job whose node is lost starts again on another node, from the state that its training has saved.

    Args:
        cores_per_run: cores of each job.
        address: of the cluster: "HOST:PORT", or "auto" for the one that this machine belongs to.

    Raises:
        UsageError: the address is none, Ray is not installed, there is no cluster, or no node has the cores.
    """

    def __init__(self, cores_per_run: int, address: str):
        _check_address(address)
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError:
            raise UsageError("--launcher ray: Ray is not installed: pip install 'maml_tf[ray]'") from None
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            told = str(error).strip().split("\n")[0]
            raise UsageError(f"--address {address}: there is no Ray cluster that can be used ({told})") from None
        raise_for_signals()  # Ray has put its handler in place of ours
        cores = max(node["Resources"].get("CPU", 0) for node in self._ray.nodes() if node["Alive"])
        if cores_per_run > cores:
            self._ray.shutdown()
            raise UsageError(f"--cores-per-run {cores_per_run}: the largest node of {address} has {cores:g} cores")
        self._run = self._ray.remote(num_cpus=cores_per_run, max_retries=NODE_FAILURES)(run)
        self.cores = cores_per_run
        self._open: dict[Any, Job] = {}

    def submit(self, jobs: Sequence[Job]) -> None:
        """See `Launcher.submit`."""
        self._open |= {self._run.options(name=job.name).remote(job, self.cores): job for job in jobs}

    def poll(self) -> list[Ended]:
        """See `Launcher.poll`."""
        if not self._open:
            return []
        done, _ = self._ray.wait(list(self._open), num_returns=len(self._open), timeout=0)
        return [self._end(reference) for reference in done]

    def stop(self, number: int) -> None:
        """See `Launcher.stop`. A job gets SIGTERM in place of any signal."""
        for reference in self._open:
            self._ray.cancel(reference)

    def _end(self, reference: Any) -> Ended:
        job = self._open.pop(reference)
        try:
            return Ended(job, self._ray.get(reference))
        except self._ray.exceptions.RayError as error:  # nodes were lost again and again, or the job was dropped
            return Ended(job, None, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")


def _check_address(address: str) -> None:
    """Refuses an address that is none, or where nothing answers: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[\w.-]+", host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise UsageError(f"--address {address}: expected HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"--address {address}: there is no Ray cluster that can be used ({error})") from None
