"""Measures one workload: all implementations take turns on the same cores."""

import contextlib
import math
import os
import pathlib
import random
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.agreement import check_agreement, difference, read_values
from benchmarks.arithmetic import multiply_adds
from benchmarks.benchmark import read_problem
from benchmarks.implementations import REINFORCEMENT_LEARNING, SUPERVISED
from benchmarks.implementations.sgemm import MULTIPLY_ADDS as SGEMM_MULTIPLY_ADDS
from benchmarks.peer_venvs import FOLDER, NotInstalledError, python_of
from benchmarks.processes import ImplementationFailedError, WorkerProcess
from benchmarks.workloads import Workload

TURN_SECONDS = 0.25  # a turn lasts about this long, so that the clock's resolution does not matter
# An implementation that has been timed for this long gets no further turn. Some peers take a hundred times as long as
# ours.
TOTAL_SECONDS = 60
BOUNDS = ("sgemm", "convolutions", "call")  # these compute no meta-gradient; they show a bound on the time of one
ROUNDED = ("ours_bfloat16",)  # their difference is the price of their speed: it is measured but not limited
START_LIMIT = 600  # seconds until the first result: peers' compilers are slow on convolutions

Entry = dict[str, Any]


def measure(
    workload: Workload, problem_file: pathlib.Path, implementations: Sequence[str], cores: set[int], rounds: int
) -> dict[str, Any]:
    """Measures all implementations of a workload, turn by turn.

    Args:
        workload: what to measure.
        problem_file: of its problem.
        implementations: their names, "ours" first.
        cores: the processor cores to use.
        rounds: turns of every implementation.

    Returns:
        What the result file holds for this number of cores, as read by report.py.

    Raises:
        ImplementationFailedError: ours failed. The failure of another one is noted in its entry.
    """
    problem, _ = read_problem(problem_file)
    load = [os.getloadavg()[0]]
    running: dict[str, WorkerProcess] = {}
    entries: dict[str, Entry] = {}
    with contextlib.ExitStack() as stack:
        for name in [*implementations, *(["sgemm"] if multiply_adds(problem) else [])]:
            print(f"{workload.name}, {len(cores)} cores: {name}", end="", flush=True)
            try:
                running[name], entries[name], seconds = _start(stack, problem, problem_file, name, cores)
                print(f": {seconds:.4g} s", flush=True)
            except (NotInstalledError, ImplementationFailedError) as error:
                if name == "ours":
                    raise
                entries[name] = {"failed": str(error)}
                print(f": {error}", flush=True)
        for turn in range(rounds):
            _take_turns(turn, running, entries)
    load.append(os.getloadavg()[0])
    return {"rounds": rounds, "load_average": load, "implementations": entries} | compare(problem, entries)


def _take_turns(turn: int, running: dict[str, WorkerProcess], entries: dict[str, Entry]) -> None:
    """One turn of every implementation. The order changes: the one after `sgemm` finds the caches full of its data."""
    for name, process in random.Random(turn).sample(list(running.items()), len(running)):
        entry = entries[name]
        if sum(entry["seconds"]) * entry["repetitions"] > TOTAL_SECONDS:
            continue
        try:
            answer = process.ask(entry["repetitions"])
        except ImplementationFailedError as error:
            if name == "ours":
                raise
            entries[name] = {"failed": str(error)}
            del running[name]
            continue
        entry["seconds"].append(answer["seconds"])
        entry["cpu_seconds"].append(answer["cpu_seconds"])
        entry |= {key: answer[key] for key in ("units", "imported_bytes", "peak_bytes", "versions")}


def compare(problem: dict[str, Any], entries: dict[str, Entry]) -> dict[str, Any]:
    """Computes the ratios to our time, and our share of the matrix-product peak.

    Args:
        problem: its description.
        entries: of the implementations in a result file. Their "seconds" are those of one repetition, one per turn.

    Returns:
        {"ratios": {name: {"of_medians", "quartiles", "of_cpu_medians"}}, "peak": {...}}: the time of an implementation
        over ours, and the quartiles of the ratios of the single turns. There is no "peak" where sgemm did not run.
    """
    timed = {name: entry for name, entry in entries.items() if entry.get("seconds")}

    def per_unit(name: str, key: str) -> list[float]:
        return [seconds / timed[name]["units"] for seconds in timed[name][key]]

    def times_ours(name: str, key: str) -> float:
        return statistics.median(per_unit(name, key)) / statistics.median(per_unit("ours", key))

    ratios = {}
    for name in timed:
        if name not in ("ours", "sgemm"):
            # Slow implementations have fewer turns.
            turns = zip(per_unit(name, "seconds"), per_unit("ours", "seconds"), strict=False)
            ratios[name] = {
                "of_medians": times_ours(name, "seconds"),
                "quartiles": np.quantile([other / ours for other, ours in turns], [0.25, 0.75]).tolist(),
                "of_cpu_medians": times_ours(name, "cpu_seconds"),
            }
    work = multiply_adds(problem) if "sgemm" in timed else None
    if work is None:
        return {"ratios": ratios}
    reached = work / statistics.median(per_unit("ours", "seconds"))
    peak = SGEMM_MULTIPLY_ADDS / statistics.median(per_unit("sgemm", "seconds"))
    return {
        "ratios": ratios,
        "peak": {
            "multiply_adds": work,
            "sgemm_gflops": 2 * peak / 1e9,
            "ours_gflops": 2 * reached / 1e9,
            "share": reached / peak,
            "share_of_cpu_time": work / SGEMM_MULTIPLY_ADDS * times_ours("sgemm", "cpu_seconds"),
        },
    }


def _start(
    stack: contextlib.ExitStack, problem: dict[str, Any], problem_file: pathlib.Path, name: str, cores: set[int]
) -> tuple[WorkerProcess, Entry, float]:
    """Starts an implementation and checks its first result against ours.

    Returns:
        Its process, its entry without timings, and the seconds of a repetition.
    """
    process = start_worker(problem, problem_file, name, cores)
    stack.callback(process.close)
    values = _values_file(problem, name)
    values.parent.mkdir(parents=True, exist_ok=True)
    answer = process.ask(1, save=values, limit=START_LIMIT)
    entry: Entry = {
        "start_up_seconds": process.seconds_since_start(),
        "start_up_cpu_seconds": answer["cpu_seconds_since_start"],
        "seconds": [],
        "cpu_seconds": [],
    }
    ours = read_values(_values_file(problem, "ours"))
    if ours and name in ROUNDED:
        entry["difference"] = difference(read_values(values), ours)
    elif ours and name not in ("ours", *BOUNDS):
        try:
            entry |= check_agreement(
                read_values(values),
                ours,
                lambda: _values_in_float64(problem, problem_file, name, cores),
                lambda: _values_in_float64(problem, problem_file, "ours", cores),
            )
        except ImplementationFailedError:
            process.close()
            raise
    entry["repetitions"], seconds = 1, process.ask(1)["seconds"]
    if seconds < TURN_SECONDS:  # again with many repetitions, so that the time of the request itself is negligible
        seconds = process.ask(math.ceil(TURN_SECONDS / seconds))["seconds"]
        entry["repetitions"] = math.ceil(TURN_SECONDS / seconds)
    return process, entry, seconds


def start_worker(
    problem: dict[str, Any], problem_file: pathlib.Path, name: str, cores: set[int], precision: str = "float32"
) -> WorkerProcess:
    """Starts the process of an implementation."""
    where = (REINFORCEMENT_LEARNING if "environment" in problem else SUPERVISED)[name]
    log = FOLDER / "logs" / f"{problem['workload']}-{name}.txt"
    return WorkerProcess(python_of(where.venv), where.module, name, problem_file, cores, log, precision)


def _values_file(problem: dict[str, Any], name: str, precision: str = "float32") -> pathlib.Path:
    return FOLDER / "values" / f"{problem['workload']}-{name}-{precision}.npz"


def _values_in_float64(
    problem: dict[str, Any], problem_file: pathlib.Path, name: str, cores: set[int]
) -> list[np.ndarray]:
    """An implementation's result in float64, computed once in a measurement."""
    values = _values_file(problem, name, "float64")
    if not values.exists() or values.stat().st_mtime < _values_file(problem, "ours").stat().st_mtime:
        with contextlib.closing(start_worker(problem, problem_file, name, cores, "float64")) as process:
            process.ask(1, save=values, limit=START_LIMIT)
    return read_values(values)
