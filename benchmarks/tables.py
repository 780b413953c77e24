"""The tables of the benchmark's report."""

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.implementations import SUPERVISED
from benchmarks.targets import NO_TARGETS, OfWorkload
from benchmarks.workloads import WORKLOADS

# {(cores, with peers): measurement} of a workload, as `report.read_measurements` gives it.
Runs = dict[tuple[int, bool], dict[str, Any]]
NOT_PEERS = (
    *(name for name, implementation in SUPERVISED.items() if implementation.module == "ours"),
    "map_fn_reference",
    "async_vector_env",
    "physics_only",
    "physics_with_profiler",
    "convolutions",
    "sgemm",
)
DETAILS = (
    "implementation",
    "median",
    "quartiles",
    "processor time",
    "start-up",
    "its processor time",
    "peak memory",
    "of it after the imports",
    "difference to ours",
)


def summary(measured: dict[str, Runs], targets: dict[str, OfWorkload]) -> str:
    """The table of all workloads, with the targets of those that have some."""
    lines = [
        "| workload | cores | ours | map_fn reference / ours | fastest peer / ours | share of the peak | "
        "convolutions alone / ours | load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, cores, runs in measurements(measured):
        lines.append("| " + " | ".join(_summary_cells(name, cores, runs, targets.get(name, NO_TARGETS))) + " |")
    return "\n".join(lines) + "\n"


def details(measured: dict[str, Runs]) -> str:
    """A table of every implementation for every workload."""
    parts = []
    for name, runs in measured.items():
        for (cores, peers), run in sorted(runs.items()):
            lines = [
                f"### {name.replace('_', ' ')}, {cores_in_words(cores)}{', with the peers' if peers else ''}",
                "",
                "| " + " | ".join(DETAILS) + " |",
                "|---" * len(DETAILS) + "|",
            ]
            lines += [
                f"| {implementation.replace('_', ' ')} | {_details(entry)} |"
                for implementation, entry in run["implementations"].items()
            ]
            data = run["problem"].get("data")
            parts.append("\n".join([*lines, "", origin(run) + (f" Data: {data}." if data else "")]))
    return "\n\n".join(parts) + "\n"


def measurements(measured: dict[str, Runs]) -> Iterator[tuple[str, int, dict[bool, dict[str, Any]]]]:
    """(workload, number of cores, {with peers: measurement}), in order."""
    for name, runs in measured.items():
        for cores in sorted({cores for cores, _ in runs}):
            yield name, cores, {peers: run for (number, peers), run in runs.items() if number == cores}


def latest(runs: dict[bool, dict[str, Any]]) -> dict[str, Any]:
    """The newer one of the measurements with and without peers."""
    return max(runs.values(), key=lambda run: run["date"])


def medians_key(cores: int) -> str:
    """On one core shares are of processor time: the time of a process that has the core for itself."""
    return "of_cpu_medians" if cores == 1 else "of_medians"


def found_values(cores: int, runs: dict[bool, dict[str, Any]]) -> dict[str, float | None]:
    """{"reference", "peer", "share"}: the values that TARGETS limits; None where it was not measured."""
    newest, peers = latest(runs), _peers(runs)
    reference, fastest = _reference(newest["ratios"]), _fastest(peers)
    share = None
    if "physics_only" in newest["ratios"]:
        share = newest["ratios"]["physics_only"][medians_key(cores)]
    elif "peak" in newest:
        share = newest["peak"]["share_of_cpu_time" if cores == 1 else "share"]
    return {
        "reference": None if reference is None else reference["of_medians"],
        "peer": None if fastest is None else peers[fastest]["of_medians"],
        "share": share,
    }


def cores_in_words(number: int) -> str:
    """1 core, 2 cores, ..."""
    return f"{number} {'core' if number == 1 else 'cores'}"


def origin(run: dict[str, Any]) -> str:
    """Command, date, commit, hardware and package versions of a measurement."""
    versions = {}
    for entry in run.get("implementations", {}).values():
        versions |= entry.get("versions", {})
    packages = "".join(f", {package} {version}" for package, version in sorted(versions.items()))
    return f"`{run['command']}`, {run['date']}, commit {run['git_commit'][:10]}, {run['hardware']}{packages}."


def _reference(ratios: dict[str, Any]) -> dict[str, Any] | None:
    return ratios.get("map_fn_reference") or ratios.get("async_vector_env")


def _peers(runs: dict[bool, dict[str, Any]]) -> dict[str, Any]:
    """{peer: ratio} of the peers that were measured."""
    ratios = runs[True]["ratios"] if True in runs else {}
    return {name: ratio for name, ratio in ratios.items() if name not in NOT_PEERS}


def _fastest(peers: dict[str, Any]) -> str | None:
    return min(peers, key=lambda name: peers[name]["of_medians"], default=None)


def _summary_cells(name: str, cores: int, runs: dict[bool, dict[str, Any]], targets: OfWorkload) -> tuple[str, ...]:
    reference, peer, share = targets
    newest, peers = latest(runs), _peers(runs)
    fastest = _fastest(peers)
    # Whether the fastest peer's target is reached is known only when all peers are measured.
    of_all = "" if set(WORKLOADS[name].peers) <= set(peers) else f", {len(peers)} of {len(WORKLOADS[name].peers)} peers"
    convolutions = newest["ratios"].get("convolutions")
    reached = found_values(cores, runs)["share"]
    load = newest["load_average"]
    return (
        name.replace("_", " "),
        str(cores),
        _ours(newest),
        _ratio(_reference(newest["ratios"]), reference),
        "—" if fastest is None else f"{fastest.replace('_', ' ')}: {_ratio(peers[fastest], peer)}{of_all}",
        "—" if reached is None else f"{reached:.0%}{_verdict(reached, share, '{:.0%}')}",
        "—" if convolutions is None else f"{convolutions[medians_key(cores)]:.0%}",
        f"{load[0]:.1f}-{load[1]:.1f}",
    )


def _ours(run: dict[str, Any]) -> str:
    """Our time. For a block of test tasks, also the time for all of them."""
    problem, seconds = run["problem"], _median(run["implementations"]["ours"])
    if problem.get("kind") != "evaluation":
        return _seconds(seconds)
    total = _seconds(seconds * problem["test_tasks"] / problem["tasks"])
    return f"{_seconds(seconds)} for {problem['tasks']} tasks, so {total} for {problem['test_tasks']}"


def _ratio(ratio: dict[str, Any] | None, target: float | None) -> str:
    if ratio is None:
        return "—"
    low, high = ratio["quartiles"]
    found = f"{ratio['of_medians']:.3g} ({low:.3g}-{high:.3g}) [{ratio['of_cpu_medians']:.3g}]"
    return found + _verdict(ratio["of_medians"], target, "{:g}")


def _verdict(found: float, target: float | None, form: str) -> str:
    if target is None:
        return ""
    return f", >= {form.format(target)} **{'reached' if found >= target else 'not reached'}**"


def _details(entry: dict[str, Any]) -> str:
    if "failed" in entry:
        return entry["failed"] + " |" * (len(DETAILS) - 2)
    low, high = (value / entry["units"] for value in np.quantile(entry["seconds"], [0.25, 0.75]))
    difference, start_up = entry.get("difference"), entry.get("start_up_cpu_seconds")
    return " | ".join(
        (
            _seconds(_median(entry)),
            f"{_seconds(low)} - {_seconds(high)}",
            _seconds(statistics.median(entry["cpu_seconds"]) / entry["units"]),
            f"{entry['start_up_seconds']:.1f} s",
            "—" if start_up is None else f"{start_up:.1f} s",
            f"{entry['peak_bytes'] / 1e6:.0f} MB",
            f"{(entry['peak_bytes'] - entry['imported_bytes']) / 1e6:.0f} MB",
            "—" if difference is None else f"{difference:.1g}{_from_float64(entry)}",
        )
    )


def _from_float64(entry: dict[str, Any]) -> str:
    return f" (from float64 {entry['off']:.1g}, ours {entry['ours_off']:.1g})" if "off" in entry else ""


def _median(entry: dict[str, Any]) -> float:
    return statistics.median(entry["seconds"]) / entry["units"]


def _seconds(seconds: float) -> str:
    unit, factor = next((scale for scale in (("s", 1.0), ("ms", 1e3)) if seconds * scale[1] >= 1.0), ("µs", 1e6))
    return f"{seconds * factor:.3g} {unit}"
