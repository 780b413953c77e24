"""The tool that kills trainings: two kinds here, all of them by `make kills`."""

import multiprocessing
import random
import re

import numpy as np
from helpers import ROOT, run_python
from tools import kills

from maml_tf._io import atomic_write


def test_killed_trainings_have_the_same_bits():
    kinds = ["point_navigation_maml", "omniglot_5way_1shot_nonconv"]
    done = run_python(ROOT / "tests" / "tools" / "kills.py", *kinds, "--kills=3", "--eagerly")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.findall(r"(\d) of (\d) kills hit, same bits", done.stdout) == [("1", "1"), ("2", "2")]
    assert done.stdout.splitlines()[-1] == "3 kills"


def small_training(monkeypatch, spoil=lambda state: state):
    """Replaces the trainings of `kills.check` by three files and a state, which `spoil` changes if resumed."""

    def train(name, runs, data, kill, log):
        def child():
            if kill is not None:
                kills.arm(kill)
            resumed = (runs / "file_0").exists()
            for number in range(3):
                with atomic_write(runs / f"file_{number}", "wb") as file:
                    file.write(b"content" * 100)
            np.savez(runs / "state.npz", theta=spoil(np.ones(3)) if resumed else np.ones(3))

        runs.mkdir(parents=True, exist_ok=True)
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        return process.exitcode

    monkeypatch.setattr(kills, "run", train)


def test_every_kill_hits_and_a_difference_is_found(tmp_path, monkeypatch):
    small_training(monkeypatch)
    assert kills.check("any", 8, tmp_path / "same", tmp_path, random.Random(0)) == (8, [])
    small_training(monkeypatch, lambda state: np.nextafter(state, 2))
    hits, found = kills.check("any", 8, tmp_path / "other", tmp_path, random.Random(0))
    assert hits > 0
    assert len(found) == 1
    assert "theta" in found[0]


def test_a_kill_that_never_comes_and_a_training_that_fails_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(kills, "differences", lambda whole, killed: [])
    monkeypatch.setattr(kills, "run", lambda name, runs, *_: (runs.mkdir(parents=True, exist_ok=True), 0)[1])
    hits, found = kills.check("any", 2, tmp_path, tmp_path, random.Random(0))
    assert (hits, found) == (0, ["only 0 of 2 kills hit in 10 attempts"])
    monkeypatch.setattr(kills, "run", lambda name, runs, data, kill, log: 0 if kill is None else 3)
    hits, found = kills.check("any", 2, tmp_path, tmp_path, random.Random(0))
    assert hits == 0
    assert "attempt 0" in found[0]
    assert "exit code 3" in found[0]


def test_an_unknown_case_is_named():
    done = run_python(ROOT / "tests" / "tools" / "kills.py", "nothing")
    assert done.returncode == 2
    assert "nothing: no such case; there are sinusoid_maml" in done.stderr
