"""The sweep itself: jobs are submitted when what they need is finished, and failed ones are tried again."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence

from maml_tf.sweep.jobs import Job
from maml_tf.sweep.launcher import Ended, Launcher
from maml_tf.sweep.processes import in_words
from maml_tf.sweep.states import Reached, State, process_at_work, read_reached
from maml_tf.training.stopping import StopRequest, TrainingStoppedError

SECONDS_BETWEEN_POLLS = 0.2
SECONDS_BETWEEN_READS = 2.0
NOTHING = Reached()


@dataclasses.dataclass
class Row:
    """A job with its state.

    Attributes:
        job: the job.
        state: its state.
        tries: how often it was submitted.
        reached: what its training has saved.
        first: what it had saved when the sweep began or its last try was submitted.
        reason: why it failed, or who trains it elsewhere.
        log_bytes: the size of its log before its last try.
    """

    job: Job
    state: State = State.WAITING
    tries: int = 0
    reached: Reached = NOTHING
    first: Reached = NOTHING
    reason: str = ""
    log_bytes: int = 0

    @property
    def rate(self) -> float:
        """Iterations for each second of its last try; NaN before it is known."""
        seconds = self.reached.seconds - self.first.seconds
        return (self.reached.iteration - self.first.iteration) / seconds if seconds > 0 else math.nan

    @property
    def remaining(self) -> float:
        """Seconds until the last iteration at that rate; NaN before it is known."""
        left = self.job.iterations - self.reached.iteration
        return left / self.rate if self.rate > 0 else math.nan

    def read(self) -> None:
        """Reads what the training has saved."""
        if self.job.run_folder is not None:
            self.reached = read_reached(self.job.run_folder, self.job.iterations)


def rows_of(jobs: Iterable[Job]) -> list[Row]:
    """The jobs with the states that their run directories are in before a sweep. Tests wait: they are always run."""
    rows = [Row(job) for job in jobs]
    for row in rows:
        row.read()
        row.first = row.reached
        if row.reached.ended:
            row.state = State.FINISHED
        elif row.job.run_folder is not None and (process := process_at_work(row.job.run_folder)):
            row.state, row.reason = State.ELSEWHERE, process
        elif row.reached.iteration:
            row.state = State.STOPPED
    return rows


class Sweep:
    """Runs jobs to their end.

    Args:
        rows: of `rows_of`. Finished jobs, and those that another process trains, are left out.
        launcher: what runs the jobs.
        retries: how often a job that failed is tried again.
        show: called with the rows when something has changed, and every few seconds.
    """

    def __init__(self, rows: Sequence[Row], launcher: Launcher, retries: int, show: Callable[[Sequence[Row]], None]):
        self.rows = {row.job.name: row for row in rows}
        self.launcher = launcher
        self.retries = retries
        self.show = show
        self._submitted: set[str] = set()
        self._stopping = False

    def run(self) -> None:
        """Returns when every job has finished or failed, or waits for one that will not finish.

        A signal is passed on to the jobs, which save their states. A second one stops them at once.

        Raises:
            TrainingStoppedError: a signal came.
        """
        with StopRequest() as stop:
            try:
                self._run(stop)
            except TrainingStoppedError as error:
                self.launcher.stop(error.number)
                raise TrainingStoppedError(self._how_to_go_on(), error.number) from None
        if stop.number is not None:
            raise TrainingStoppedError(self._how_to_go_on(), stop.number)

    def _run(self, stop: StopRequest) -> None:
        shown_at = -math.inf
        while True:
            if stop.number is not None and not self._stopping:
                self._stopping = True
                self.launcher.stop(stop.number)
            submitted = [] if self._stopping else self._submit()
            if not self._submitted:
                break
            ended = self.launcher.poll()
            for one in ended:
                self._end(one)
            if submitted or ended or time.monotonic() - shown_at >= SECONDS_BETWEEN_READS:
                self._read()
                self.show(list(self.rows.values()))
                shown_at = time.monotonic()
            time.sleep(SECONDS_BETWEEN_POLLS)
        self.show(list(self.rows.values()))

    def _submit(self) -> list[Job]:
        """Submits every job that needs nothing more."""
        ready = [
            row
            for row in self.rows.values()
            if row.state in (State.WAITING, State.STOPPED)
            and row.job.name not in self._submitted
            and all(self.rows[name].state == State.FINISHED for name in row.job.needs)
        ]
        for row in ready:
            row.state, row.tries, row.first = State.QUEUED, row.tries + 1, row.reached
            row.log_bytes = _size(row.job.log)
        jobs = [row.job for row in ready]
        self._submitted.update(job.name for job in jobs)
        if jobs:
            self.launcher.submit(jobs)
        return jobs

    def _read(self) -> None:
        """Reads how far the submitted jobs are. One runs when it has written to its log."""
        for name in self._submitted:
            row = self.rows[name]
            row.read()
            if row.state == State.QUEUED and _size(row.job.log) > row.log_bytes:
                row.state = State.RUNNING

    def _end(self, ended: Ended) -> None:
        row = self.rows[ended.job.name]
        self._submitted.discard(ended.job.name)
        row.read()
        complete = row.job.run_folder is None or row.reached.ended
        if ended.code == 0 and complete:
            row.state, row.reason = State.FINISHED, ""
        elif self._stopping:
            row.state = State.STOPPED if _size(row.job.log) > row.log_bytes else State.WAITING
        else:
            row.reason = ended.reason or in_words(ended.code or 0)
            if ended.code == 0:
                row.reason += f", but {row.job.run_folder} holds no finished training: do all machines share it?"
            row.state = State.WAITING if row.tries <= self.retries else State.FAILED

    def _how_to_go_on(self) -> str:
        finished = sum(row.state == State.FINISHED for row in self.rows.values())
        return (
            f"stopped; {finished} of {len(self.rows)} jobs are finished, and the same command goes on with the others"
        )


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0
