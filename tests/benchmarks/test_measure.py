"""The runner's turns, and the ratios that follow from the times."""

import pytest

from benchmarks import measure
from benchmarks.workloads import WORKLOADS


def test_each_turn_has_another_order(monkeypatch):
    """An implementation that always follows the same one would find its caches."""
    asked = []

    class Process:
        def __init__(self, name):
            self.name = name

        def ask(self, repetitions):
            asked.append(self.name)
            nothing = {"imported_bytes": 0, "peak_bytes": 0, "versions": {}}
            return {"seconds": 0.1, "cpu_seconds": 0.1, "units": 1} | nothing

    def started(stack, problem, problem_file, name, cores):
        return Process(name), {"seconds": [], "cpu_seconds": [], "repetitions": 1}, 0.1

    monkeypatch.setattr(measure, "_start", started)
    monkeypatch.setattr(measure, "read_problem", lambda path: ({"kind": "sampling", "environment": "ant"}, {}))
    monkeypatch.setattr(measure, "multiply_adds", lambda problem: None)
    names = ["ours", "map_fn_reference", "torch_vmap"]
    measure.measure(WORKLOADS["sinusoid"], None, names, {0}, rounds=20)
    turns = [tuple(asked[turn : turn + 3]) for turn in range(0, 60, 3)]
    assert all(sorted(turn) == sorted(names) for turn in turns)
    assert {turn[0] for turn in turns} == set(names)


def entry(seconds, units=1):
    return {"units": units, "seconds": seconds, "cpu_seconds": [s / 2 for s in seconds]}


def test_the_times_are_compared_per_unit_and_turn_by_turn():
    problem = {"kind": "sampling"}
    entries = {"ours": entry([1.0, 2.0, 3.0], units=10), "envpool": entry([2.0, 1.0, 1.0], units=5)}
    entries["async_vector_env"] = {"failed": "no answer"}
    compared = measure.compare(problem, entries)
    assert compared == {
        "ratios": {
            "envpool": {
                "of_medians": pytest.approx(0.2 / 0.2),
                "of_cpu_medians": pytest.approx(1.0),
                "quartiles": pytest.approx([(1.0 + 2 / 3) / 2, (4.0 + 1.0) / 2]),
            }
        }
    }
