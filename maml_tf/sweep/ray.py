"""Jobs on a Ray cluster, as Core tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maml_tf.errors import UsageError
from maml_tf.sweep.jobs import Job
from maml_tf.sweep.launcher import Ended
from maml_tf.sweep.processes import run
from maml_tf.training.ray_cluster import check_address, connect, most_cores, ray_module

NODE_FAILURES = 10  # so often Ray starts a job again whose node or worker is lost


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
        if address != "auto":
            check_address(address, "--address")
        self._ray: Any = ray_module("--launcher ray")
        connect(self._ray, address, "--address")
        cores = most_cores(self._ray)
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
