"""Jobs that are small Python programs in place of trainings: they save `state.npz` as a training does."""

import sys

import pytest

from maml_tf.sweep.jobs import Job

# Saves iteration 3 of 6, then 6 of 6. `mode` says how the first try ends: it is the content of the file `mode`.
TRAINING = """
import fcntl, pathlib, signal, sys, time
import numpy as np
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
lock = open(folder / ".lock", "a+")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
state, mode = folder / "state.npz", sys.argv[2]

def save(iteration):
    with open(folder / "part", "wb") as file:
        np.savez(file, iteration=np.int32(iteration), seconds=np.array([2.0 * iteration, 0.0]))
    (folder / "part").replace(state)

def stop(number, frame):
    print("saved after the signal", flush=True)
    save(4)
    sys.exit(128 + number)

signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
first = not state.exists()
print("started" if first else "resumed", flush=True)
if first:
    save(3)
    if mode == "fails once":
        raise SystemExit("no such luck")
    if mode == "is killed once":
        import os
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "waits":
        time.sleep(60)
if mode == "fails always":
    raise SystemExit("no such luck, again")
if mode != "never saves":
    save(6)
"""


@pytest.fixture
def training(tmp_path):
    """`(name, mode) -> Job` of a training of 6 iterations."""

    def job(name, mode="finishes"):
        folder = tmp_path / name
        return Job(
            name=name,
            label=f"training {name}",
            command=(sys.executable, "-c", TRAINING, str(folder), mode),
            folder=tmp_path,
            log=tmp_path / f"{name}.log",
            run_folder=folder,
            iterations=6,
        )

    return job


@pytest.fixture
def a_test_of(tmp_path):
    """`(jobs) -> Job` that needs them, and prints what they are."""

    def job(*needed):
        names = tuple(one.name for one in needed)
        command = (sys.executable, "-c", f"print('testing', {names!r})")
        return Job("test", "the test", command, tmp_path, tmp_path / "test.log", needs=names)

    return job
