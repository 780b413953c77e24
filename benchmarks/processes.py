"""The workers as seen from the runner: processes that wait for requests while their workload is measured."""

import json
import os
import pathlib
import selectors
import signal
import subprocess
import time
from typing import Any

from benchmarks.peer_venvs import ROOT


class ImplementationFailedError(RuntimeError):
    """An implementation ended, or did not answer in time; the message says why."""


class WorkerProcess:
    """One implementation in its own process, restricted to some cores.

    Args:
        python: path of the interpreter.
        module: of the implementation, in benchmarks/implementations.
        implementation: its name.
        problem: path of the problem's file.
        cores: the processor cores that it may use. They are set before the interpreter starts, so that no library in
            it finds more.
        log: file for what it prints.
        precision: "float32" or "float64", of its computation.
    """

    def __init__(
        self,
        python: str,
        module: str,
        implementation: str,
        problem: pathlib.Path,
        cores: set[int],
        log: pathlib.Path,
        precision: str = "float32",
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                [python, "-m", "benchmarks.worker", module, implementation, str(problem), precision],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def ask(self, repetitions: int, save: pathlib.Path | None = None, limit: float = 600) -> dict[str, Any]:
        """Has the worker repeat its implementation and waits for the answer.

        Args:
            repetitions: how often in a row.
            save: file to write the last result's values to.
            limit: seconds to wait for the answer.

        Returns:
            The answer; worker.py shows its keys.

        Raises:
            ImplementationFailedError: the process ended or took longer than `limit`. It is ended in both cases.
        """
        request = {"repetitions": repetitions, "save": save and str(save)}
        try:
            self.requests.write(json.dumps(request).encode() + b"\n")
            self.requests.flush()
        except BrokenPipeError:
            raise ImplementationFailedError(self._how_it_ended()) from None
        with selectors.DefaultSelector() as selector:
            selector.register(self.answers, selectors.EVENT_READ)
            if not selector.select(limit):
                self.close()
                raise ImplementationFailedError(f"no answer within {limit} s")
        answer = self.answers.readline()
        if not answer:
            raise ImplementationFailedError(self._how_it_ended())
        return json.loads(answer)

    def seconds_since_start(self) -> float:
        """Seconds since the process was started."""
        return time.monotonic() - self.started

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()
        self.requests.close()
        self.answers.close()

    def _how_it_ended(self) -> str:
        if self.process.wait() == -signal.SIGKILL:
            return "killed, as a system does that runs out of memory"
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return f"ended: {lines[-1] if lines else 'it printed nothing'}"
