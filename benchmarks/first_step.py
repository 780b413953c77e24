"""The time until the first meta-gradient: imports, tracing and compilation, then one meta-gradient.

Every measurement is a new process. The implementations take turns, so that other work on the machine affects all alike.
"""

import contextlib
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measure import START_LIMIT
from benchmarks.peer_venvs import NotInstalledError
from benchmarks.processes import ImplementationFailedError, WorkerProcess
from benchmarks.workloads import TITLES as WORKLOAD_TITLES

WORKLOADS = ("sinusoid", "omniglot_5way_1shot", "miniimagenet_1shot")
IMPLEMENTATIONS = ("ours", "map_fn_reference")
PEERS = ("torch_vmap", "torch_loop", "jax_map")
ROUNDS = 3
TITLES = {
    "ours": "ours",
    "map_fn_reference": "authors' way",
    "torch_vmap": "PyTorch, `vmap`",
    "torch_loop": "PyTorch, task after task",
    "jax_map": "JAX, task after task",
}

# (workload, implementation) -> its process, started now.
Start = Callable[[str, str], WorkerProcess]


def measure_first_steps(names: Sequence[str], start: Start) -> dict[str, Any]:
    """Times the first meta-gradient of every workload.

    Args:
        names: of the implementations, "ours" first.
        start: starts an implementation of a workload.

    Returns:
        {workload: {implementation: {"seconds": [...], "cpu_seconds": [...]} or {"failed": why}}}. An implementation
        that fails, or takes longer than `START_LIMIT`, is not tried again on this workload.

    Raises:
        ImplementationFailedError: ours failed.
    """
    found: dict[str, dict[str, Any]] = {}
    for workload in WORKLOADS:
        entries = found[workload] = {name: {"seconds": [], "cpu_seconds": []} for name in names}
        for turn in range(ROUNDS):
            for name in random.Random(turn).sample(names, len(names)):
                if "failed" not in entries[name]:
                    _first(entries, workload, name, start)
    return found


def _first(entries: dict[str, Any], workload: str, name: str, start: Start) -> None:
    """One new process: adds its times to the entry, or the reason of its failure."""
    try:
        with contextlib.closing(start(workload, name)) as process:
            answer = process.ask(1, limit=START_LIMIT)
            seconds = process.seconds_since_start()
    except (NotInstalledError, ImplementationFailedError) as error:
        if name == "ours":
            raise
        entries[name] = {"failed": str(error)}
        print(f"{workload}, first step: {name}: {error}", flush=True)
        return
    entry = entries[name]
    entry["seconds"].append(seconds)
    entry["cpu_seconds"].append(answer["cpu_seconds_since_start"])
    entry["versions"] = answer["versions"]
    print(f"{workload}, first step: {name}: {seconds:.1f} s", flush=True)


def first_step_rows(measured: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the table: medians in seconds, and processor seconds in brackets."""
    names = [name for name in TITLES if any(name in entries for entries in measured.values())]
    rows = []
    for workload, entries in measured.items():
        rows.append([WORKLOAD_TITLES[workload], *(_cell(entries.get(name, {})) for name in names)])
    return ["first meta-gradient", *(TITLES[name] for name in names)], rows


def _cell(entry: dict[str, Any]) -> str:
    if not entry.get("seconds"):
        return entry.get("failed", "—")
    return f"{statistics.median(entry['seconds']):.1f} s ({statistics.median(entry['cpu_seconds']):.1f})"
