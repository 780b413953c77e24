"""Sides as processes that live as long as their workload is measured and work only when they are asked."""

import json
import os
import selectors
import subprocess
import time

from benchmarks.environments import ROOT


class SideFailedError(RuntimeError):
    """A side ended, or did not answer in time; the message says which and why."""


class SideProcess:
    """One side in its own process, on some cores only.

    Args:
        python: the interpreter.
        module, side: see side.py.
        problem: path of the problem's file.
        cores: the processor cores that it may use. They are set before the interpreter starts, so that every library
            in it finds no more.
        log: file for what it prints.
    """

    def __init__(self, python, module, side, problem, cores, log):
        self.side, self.log = side, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                [python, "-m", "benchmarks.side", module, side, str(problem)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    def ask(self, repetitions, save=None, limit=600):
        """Repeats and answers; see side.py for what the answer holds.

        Args:
            repetitions: how often in a row.
            save: file to write the last result's values to.
            limit: seconds to wait for the answer.

        Raises:
            SideFailedError: the process ended or took longer; it is dead then.
        """
        request = {"repetitions": repetitions, "save": save and str(save)}
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise SideFailedError(self._why("ended")) from None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(limit):
                self.close()
                raise SideFailedError(f"no answer within {limit} s")
        answer = self.process.stdout.readline()
        if not answer:
            raise SideFailedError(self._why("ended"))
        return json.loads(answer)

    def seconds_since_start(self):
        """Since the process was started."""
        return time.monotonic() - self.started

    def close(self):
        """Ends the process."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _why(self, what):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return f"{what}: {lines[-1] if lines else 'it said nothing'}"
