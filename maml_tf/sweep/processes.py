"""The process of a job: started with its cores and its log, and stopped when the process above it dies."""

from __future__ import annotations

import ctypes
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection

from maml_tf.errors import EXIT_SIGNAL
from maml_tf.sweep.jobs import Job
from maml_tf.sweep.states import process_at_work

TAIL_BYTES = 20_000
SECONDS_TO_END = 60
PR_SET_PDEATHSIG = 1  # of Linux' prctl: the signal that a process gets when its parent dies


def start(job: Job, cores: int, only: Collection[int] | None = None, own_session: bool = False) -> subprocess.Popen:
    """Starts the command of a job. Its output is appended to the log, below the command.

    Args:
        job: what to start.
        cores: for the libraries that count cores themselves.
        only: the numbers of the cores that the process may use; None: those of this process.
        own_session: keep signals of this process's terminal away from it.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        if library is not None:
            library.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if only is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, only)

    with open(job.log, "ab") as log:
        log.write(f"$ {shlex.join(job.command)}\n".encode())
        log.flush()
        return subprocess.Popen(
            job.command,
            cwd=job.folder,
            env=os.environ | {"OMP_NUM_THREADS": str(cores)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=own_session,
            preexec_fn=prepare,
        )


def run(job: Job, cores: int) -> int:
    """Runs the command of a job to its end and returns the exit code: what a cluster's worker does.

    An interrupt of the worker ends the command by SIGTERM, so that a training saves its state. The process of an
    earlier worker that was lost may still be saving: it has a while to end.
    """
    deadline = time.monotonic() + SECONDS_TO_END
    while job.run_folder is not None and process_at_work(job.run_folder) and time.monotonic() < deadline:
        time.sleep(1)
    process = start(job, cores)
    try:
        while (code := process.poll()) is None:  # no long wait: Ray's interrupt comes between two steps of Python
            time.sleep(0.5)
        return code
    except BaseException:
        process.terminate()
        process.wait()
        raise


def in_words(code: int) -> str:
    """An exit code for the user."""
    number = -code if code < 0 else code - EXIT_SIGNAL
    names = {int(known): known.name for known in signal.Signals}
    if number not in names:
        return f"ended with exit code {code}"
    return f"{'killed' if code < 0 else 'stopped'} by {names[number]}"


def last_lines(log: pathlib.Path, count: int = 12) -> list[str]:
    """The last lines of a log that is there, from the last command on."""
    try:
        with open(log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = text.rstrip().replace("\r", "\n").split("\n")
    commands = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    return lines[commands[-1] + 1 if commands else 0 :][-count:]
