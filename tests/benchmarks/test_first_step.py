"""The time to the first meta-gradient, with processes that only answer."""

import pytest

from benchmarks.first_step import ROUNDS, WORKLOADS, first_step_rows, measure_first_steps
from benchmarks.peer_venvs import NotInstalledError
from benchmarks.processes import ImplementationFailedError
from benchmarks.workloads import TITLES


class Process:
    """A worker that answers at once."""

    def __init__(self, started, name):
        self.started, self.name, self.closed = started, name, False
        started.append(self)

    def ask(self, repetitions, limit):
        assert repetitions == 1
        if self.name == "jax_map":
            raise ImplementationFailedError("no answer within 600 s")
        return {"cpu_seconds_since_start": 2.0 * len(self.started), "versions": {"numpy": "2"}}

    def seconds_since_start(self):
        return float(len(self.started))

    def close(self):
        self.closed = True


def test_every_measurement_is_a_new_process():
    started = []
    found = measure_first_steps(["ours", "torch_loop"], lambda workload, name: Process(started, name))
    assert list(found) == list(WORKLOADS)
    assert len(started) == 2 * ROUNDS * len(WORKLOADS)
    assert all(process.closed for process in started)
    seconds = [time for entries in found.values() for entry in entries.values() for time in entry["seconds"]]
    assert sorted(seconds) == [float(n + 1) for n in range(len(started))]
    header, rows = first_step_rows(found)
    assert header == ["first meta-gradient", "ours", "PyTorch, task after task"]
    assert [row[0] for row in rows] == [TITLES[name] for name in WORKLOADS]


def test_a_peer_that_fails_is_told_and_not_tried_again():
    started = []

    def start(workload, name):
        if name == "torch_vmap":
            raise NotInstalledError("not installed: no network")
        return Process(started, name)

    found = measure_first_steps(["ours", "torch_vmap", "jax_map"], start)
    assert len([process for process in started if process.name == "jax_map"]) == len(WORKLOADS)
    assert all(process.closed for process in started)
    _, rows = first_step_rows(found)
    assert rows[0][2:] == ["not installed: no network", "no answer within 600 s"]


def test_ours_must_not_fail():
    def start(workload, name):
        raise ImplementationFailedError("ended: it printed nothing")

    with pytest.raises(ImplementationFailedError, match="ended"):
        measure_first_steps(["ours"], start)
