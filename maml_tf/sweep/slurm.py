"""Jobs on a Slurm cluster: array jobs that submitit submits."""

from __future__ import annotations

import importlib
import pathlib
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from maml_tf.errors import UsageError
from maml_tf.sweep.jobs import Job
from maml_tf.sweep.launcher import Ended
from maml_tf.sweep.processes import start

MINUTES = 1440  # of a job, where no option says so
MAX_TIMEOUTS = 1000  # so often is a job whose time is over queued again


class SlurmTask:
    """What runs on a node of the cluster: the command of a job.

    A job that Slurm interrupts, because its time is over or another job goes first, is queued again. It goes on from
    the state that its training has saved.

    Args:
        job: whose command it is.
        cores: of the job.
    """

    def __init__(self, job: Job, cores: int):
        self.job = job
        self.cores = cores
        self._process = None

    def __call__(self) -> int:
        """Runs the command and returns its exit code."""
        return self.start().wait()

    def start(self) -> subprocess.Popen:
        """Starts the command."""
        self._process = start(self.job, self.cores)
        return self._process

    def checkpoint(self) -> Any:
        """Called by submitit before Slurm ends the job: lets the training save, and asks for another run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        submitit = importlib.import_module("submitit")
        return submitit.helpers.DelayedSubmission(SlurmTask(self.job, self.cores))


class SlurmLauncher:
    """Submits jobs to Slurm (see `Launcher`). The folder of runs must be the same on every node.

    Args:
        cores_per_run: cores of each job.
        folder: where submitit keeps its files; on storage that all nodes share.
        parameters: of sbatch, such as {"partition": "long", "time": 1440}.
        cluster: submitit's name of the executor: "slurm", or "local" for processes of this machine.

    Raises:
        UsageError: submitit is not installed, Slurm is not there, or a parameter is unknown.
    """

    def __init__(self, cores_per_run: int, folder: pathlib.Path, parameters: Mapping[str, Any], cluster: str = "slurm"):
        try:
            submitit = importlib.import_module("submitit")
        except ImportError:
            raise UsageError("--launcher slurm: submitit is not installed: pip install 'maml_tf[slurm]'") from None
        self.cores = cores_per_run
        self._refused = submitit.core.utils.FailedJobError
        if "cpus_per_task" in parameters:
            raise UsageError("--slurm cpus_per_task: not allowed; --cores-per-run says it")
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=cluster, slurm_max_num_timeout=MAX_TIMEOUTS)
            own = {f"slurm_{name}": value for name, value in ({"time": MINUTES} | dict(parameters)).items()}
            self._executor.update_parameters(name="maml_tf", cpus_per_task=cores_per_run, **own)
        except RuntimeError as error:
            raise UsageError(f"--launcher slurm: Slurm cannot be used here ({error})") from None
        except (NameError, TypeError, ValueError) as error:
            raise UsageError(f"--slurm: {error}") from None
        self._open: list[tuple[Job, Any]] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """See `Launcher.submit`. Jobs that are submitted together are one array job.

        Raises:
            UsageError: Slurm refuses them.
        """
        try:
            with self._executor.batch():
                handles = [self._executor.submit(SlurmTask(job, self.cores)) for job in jobs]
        except self._refused as error:
            raise UsageError(f"--launcher slurm: sbatch refuses the jobs: {str(error).strip()}") from None
        self._open += zip(jobs, handles, strict=True)

    def poll(self) -> list[Ended]:
        """See `Launcher.poll`."""
        done = [(job, handle) for job, handle in self._open if handle.done()]
        self._open = [one for one in self._open if one not in done]
        return [_end(job, handle) for job, handle in done]

    def stop(self, number: int) -> None:
        """See `Launcher.stop`. Slurm sends SIGTERM in place of any signal."""
        for _, handle in self._open:
            handle.cancel()


def _end(job: Job, handle: Any) -> Ended:
    try:
        return Ended(job, handle.result())
    except Exception as error:  # submitit's for a job that left no result
        first = str(error).strip().split("\n")[0]
        return Ended(job, None, f"Slurm job {handle.job_id}: {handle.state}: {first}")
