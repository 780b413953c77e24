"""The process of a job: how its end is told, and that it does not outlive the process above it."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from maml_tf.sweep.processes import in_words, last_lines

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARENT = """
import pathlib, sys
from maml_tf.sweep.jobs import Job
from maml_tf.sweep.processes import run
child = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
run(Job("job", "job", (sys.executable, "-c", child), pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1], "log")), 1)
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, "ended with exit code 2"),
        (-9, "killed by SIGKILL"),
        (143, "stopped by SIGTERM"),
        (250, "ended with exit code 250"),
    ],
)
def test_an_exit_code_in_words(code, words):
    assert in_words(code) == words


def test_the_last_lines_are_of_the_last_command(tmp_path):
    log = tmp_path / "log"
    assert last_lines(log) == []
    log.write_text("$ first\nold\n$ second\n" + "".join(f"line {n}\n" for n in range(20)))
    assert last_lines(log, 2) == ["line 18", "line 19"]
    assert last_lines(log, 100)[0] == "line 0"


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux'")
def test_a_job_ends_when_the_process_above_it_is_killed(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT)
    deadline = time.monotonic() + 60
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(pid.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def alive(pid):
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
