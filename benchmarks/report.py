"""Writes `README.md` and `growth.png` beside the measurements: python -m benchmarks.report"""

import json
import pathlib
import statistics
import sys

import numpy as np

from benchmarks.environments import SIDES
from benchmarks.limits import reason
from benchmarks.workloads import GROWTH_BASE, WORKLOADS
from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import UsageError

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
# What is to be reached: how many times as long as ours the authors' way and the fastest peer take, and the share of the
# matrix-product peak. For sampling: AsyncVectorEnv and envpool over ours, and physics alone as a share of ours.
TARGETS = {
    "sinusoid": (10.0, 1.5, None),
    "sinusoid_training": (10.0, 1.5, None),
    "omniglot_5way_1shot": (1.5, 2.0, 0.5),
    "omniglot_20way_1shot": (1.5, 2.0, 0.5),
    "miniimagenet_1shot": (2.0, 2.5, 0.5),
    "half_cheetah_sampling": (10.0, 1.0, 0.9),
    "ant_sampling": (10.0, 1.0, 0.9),
}
OURS = [name for name, side in SIDES.items() if side.module == "ours"]
NOT_PEERS = (
    *OURS,
    "map_fn_reference",
    "async_vector_env",
    "physics_only",
    "physics_with_profiler",
    "convolutions",
    "sgemm",
)
AXES = {"tasks": "tasks", "shots": "shots K", "steps": "inner steps", "image_side": "image side in pixels"}


DETAILS = (
    "side",
    "median",
    "quartiles",
    "processor time",
    "start-up",
    "its processor time",
    "peak memory",
    "of it after the imports",
    "difference to ours",
)


def write_report(folder):
    """Writes the report of a folder of measurements.

    Args:
        folder: with `<workload>.json`, `<workload>_peers.json` and `growth.json`, as far as they were measured.

    Raises:
        UsageError: there is no measurement, or a file is not one.
    """
    measured = {name: read_measurements(folder, name) for name in WORKLOADS}
    if not any(measured.values()):
        raise UsageError(f"{folder}: no measurements: `make bench` makes them")
    parts = [HEAD, summary(measured), READING, not_reached(measured)]
    if (folder / "growth.json").exists():
        growth = json.loads((folder / "growth.json").read_text(encoding="utf-8"))
        draw_growth(growth, folder / "growth.png")
        base = ", ".join(f"{GROWTH_BASE[size]} {AXES[size]}" for size in AXES)
        parts.append(
            f"## Growth\n\n![growth](growth.png)\n\nOur second-order meta-gradient of the mini-ImageNet network on one "
            f"core, one size at a time, the others at {base}. {_origin(growth)}\n"
        )
    parts += [f"## Every side\n\n{details(measured)}"]
    with atomic_write(folder / "README.md") as file:
        file.write("\n".join(parts))


HEAD = """# Speed

Written by `python -m benchmarks.report` from the JSON files of this folder, which `make bench` and
`make bench-peers` write. Every side runs in a process of its own on the same cores, on the same weights and tasks, and
they take turns, in another order every time (what was measured before commit e0186e2: in the same order, ours always
after the matrix products, which cost it up to a tenth on Omniglot). First its meta-gradient is compared with ours: the
norm of the difference over the norm of ours must not exceed 1e-3, or the side must be no further than twice as far
as ours from the meta-gradient in float64 (both distances are given then). That of our bfloat16 side is what
its speed costs, whatever it is.

"""

READING = """
How to read it: `12 (10-14)` says that the other side takes 12 times as long as ours, as the ratio of the medians, and
that half of the turns' own ratios lie between 10 and 14; in brackets the same of the processor time that the processes
used, which other work on the machine disturbs less. The share is the multiply-adds that one exact meta-gradient needs
(`multiply_adds` in `benchmarks/workloads.py`) per second, over those of a large float32 matrix product
measured in the same turns; on one core by processor time. "Convolutions alone" are the same convolutions through the
same kernels and nothing besides: at 80 %, no better way of running them could save more than a fifth. Sampling: the
second column is Gymnasium's AsyncVectorEnv, the fourth the physics alone as a share of our sampling per time step, with
MuJoCo's profiler off as in ours ("physics with profiler": as its package comes). AsyncVectorEnv's processor time and
memory are its parent process's only. Start-up is from the start of the process to the end of the first repetition:
imports, tracing and compilation included. The load is the machine's average at the start and the end: where it exceeds
the number of cores, other work took most of the time and disturbed the caches, and only the ratios mean something.
"""


def read_measurements(folder, name):
    """{(cores, with peers): measurement} of a workload; empty where it was not measured."""
    found = {}
    for peers, suffix in ((False, ""), (True, "_peers")):
        path = pathlib.Path(folder) / f"{name}{suffix}.json"
        if path.exists():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                problem = {"problem": content["problem"]}
                found |= {(int(cores), peers): entry | problem for cores, entry in content["cores"].items()}
            except (ValueError, KeyError, AttributeError) as error:
                raise UsageError(f"{path}: no measurement: {error!r}") from None
    return found


def summary(measured):
    """The table of all workloads against the targets."""
    lines = [
        "| workload | cores | ours | authors' way / ours | fastest peer / ours | share of the peak | "
        "convolutions alone / ours | load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, cores, runs in _measurements(measured):
        lines.append("| " + " | ".join(_summary_cells(name, cores, runs)) + " |")
    return "\n".join(lines) + "\n"


def not_reached(measured):
    """Every target that is missed, and why."""
    misses = {}
    for name, cores, runs in _measurements(measured):
        ratios, found = _latest(runs)["ratios"], _found(name, cores, runs)
        for which, target in zip(found, TARGETS.get(name, ()), strict=False):
            if target is not None and found[which] is not None and found[which] < target:
                shares = {side: ratio[_medians(cores)] for side, ratio in ratios.items()}
                why = reason(name, which, found[which], target, shares)
                what = f"{name.replace('_', ' ')}, {_compared(which, ratios)}"
                misses.setdefault((what, target, why), []).append(f"{found[which]:.3g} on {_cores(cores)}")
    lines = [
        f"- **{what}: {', '.join(found)}, where {target:g} is asked.** {why}"
        for (what, target, why), found in misses.items()
    ]
    return "\n".join(["## Not reached, and why", "", *lines, ""])


def _compared(which, ratios):
    """What one of the TARGETS compares."""
    if which == "peer":
        return "the fastest peer / ours"
    sampling = "physics_only" in ratios
    if which == "authors":
        return "AsyncVectorEnv / ours" if sampling else "the authors' way / ours"
    return "physics alone / ours" if sampling else "share of the peak"


def _cores(number):
    return f"{number} {'core' if number == 1 else 'cores'}"


def _measurements(measured):
    """(workload, number of cores, {with peers: measurement}), in order."""
    for name, runs in measured.items():
        for cores in sorted({cores for cores, _ in runs}):
            yield name, cores, {peers: run for (number, peers), run in runs.items() if number == cores}


def _latest(runs):
    return max(runs.values(), key=lambda run: run["date"])


def _medians(cores):
    """On one core shares go by processor time: what a process would take if it had the core for itself."""
    return "of_cpu_medians" if cores == 1 else "of_medians"


def _reference(ratios):
    return ratios.get("map_fn_reference") or ratios.get("async_vector_env")


def _peers(runs):
    """{side: ratio} of the peers that were measured."""
    ratios = runs[True]["ratios"] if True in runs else {}
    return {side: ratio for side, ratio in ratios.items() if side not in NOT_PEERS}


def _fastest(peers):
    return min(peers, key=lambda side: peers[side]["of_medians"], default=None)


def _found(name, cores, runs):
    """{"authors", "peer", "share"}: what the TARGETS are compared with, None where it was not measured."""
    latest, peers = _latest(runs), _peers(runs)
    reference, fastest = _reference(latest["ratios"]), _fastest(peers)
    share = None
    if "physics_only" in latest["ratios"]:
        share = latest["ratios"]["physics_only"][_medians(cores)]
    elif "peak" in latest:
        share = latest["peak"]["share_of_cpu_time" if cores == 1 else "share"]
    return {
        "authors": reference and reference["of_medians"],
        "peer": fastest and peers[fastest]["of_medians"],
        "share": share,
    }


def _summary_cells(name, cores, runs):
    authors, peer, share = TARGETS.get(name, (None, None, None))
    latest, peers = _latest(runs), _peers(runs)
    fastest = _fastest(peers)
    # A target against the fastest peer is not settled before all peers are measured.
    of_all = "" if set(WORKLOADS[name].peers) <= set(peers) else f", {len(peers)} of {len(WORKLOADS[name].peers)} peers"
    convolutions = latest["ratios"].get("convolutions")
    reached = _found(name, cores, runs)["share"]
    load = latest["load_average"]
    return (
        name.replace("_", " "),
        str(cores),
        _ours(latest),
        _ratio(_reference(latest["ratios"]), authors),
        "—" if fastest is None else f"{fastest.replace('_', ' ')}: {_ratio(peers[fastest], peer)}{of_all}",
        "—" if reached is None else f"{reached:.0%}{_verdict(reached, share, '{:.0%}')}",
        "—" if convolutions is None else f"{convolutions[_medians(cores)]:.0%}",
        f"{load[0]:.1f}-{load[1]:.1f}",
    )


def _ours(run):
    """Our time; that of a block of test tasks also as what all of them take."""
    problem, seconds = run["problem"], _median(run["sides"]["ours"])
    if problem.get("kind") != "evaluation":
        return _seconds(seconds)
    whole = _seconds(seconds * problem["test_tasks"] / problem["tasks"])
    return f"{_seconds(seconds)} for {problem['tasks']} tasks, so {whole} for {problem['test_tasks']}"


def _ratio(ratio, target):
    if ratio is None:
        return "—"
    low, high = ratio["quartiles"]
    found = f"{ratio['of_medians']:.3g} ({low:.3g}-{high:.3g}) [{ratio['of_cpu_medians']:.3g}]"
    return found + _verdict(ratio["of_medians"], target, "{:g}")


def _verdict(found, target, form):
    if target is None:
        return ""
    return f", >= {form.format(target)} **{'reached' if found >= target else 'not reached'}**"


def details(measured):
    """A table of every side of every workload."""
    parts = []
    for name, runs in measured.items():
        for (cores, peers), run in sorted(runs.items()):
            lines = [
                f"### {name.replace('_', ' ')}, {_cores(cores)}{', with the peers' if peers else ''}",
                "",
                "| " + " | ".join(DETAILS) + " |",
                "|---" * len(DETAILS) + "|",
            ]
            lines += [f"| {side.replace('_', ' ')} | {_side(entry)} |" for side, entry in run["sides"].items()]
            data = run["problem"].get("data")
            parts.append("\n".join([*lines, "", _origin(run) + (f" Data: {data}." if data else "")]))
    return "\n\n".join(parts) + "\n"


def _side(entry):
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


def _from_float64(entry):
    return f" (from float64 {entry['off']:.1g}, ours {entry['ours_off']:.1g})" if "off" in entry else ""


def _median(entry):
    return statistics.median(entry["seconds"]) / entry["units"]


def _seconds(seconds):
    unit, factor = next((scale for scale in (("s", 1.0), ("ms", 1e3)) if seconds * scale[1] >= 1.0), ("µs", 1e6))
    return f"{seconds * factor:.3g} {unit}"


def _origin(run):
    versions = {}
    for entry in run.get("sides", {}).values():
        versions |= entry.get("versions", {})
    packages = "".join(f", {package} {version}" for package, version in sorted(versions.items()))
    return f"`{run['command']}`, {run['date']}, commit {run['git_commit'][:10]}, {run['hardware']}{packages}."


def draw_growth(growth, path):
    """Draws time and peak memory against each size, both from zero."""
    import matplotlib.pyplot as plt

    from reproduce.comparison.figures import save

    figure, axes = plt.subplots(2, len(AXES), figsize=(2.9 * len(AXES), 5.2), sharey="row", squeeze=False)
    for column, (size, label) in zip(axes.T, AXES.items(), strict=True):
        points = growth["points"][size]
        values = [point["value"] for point in points]
        time, memory = column
        time.plot(values, [statistics.median(point["cpu_seconds"]) for point in points], "o-")
        memory.plot(values, [(point["peak_bytes"] - point["imported_bytes"]) / 1e9 for point in points], "o-")
        memory.set_xlabel(label)
        for axis in column:
            axis.set_xticks(values)
            axis.grid(alpha=0.25)
    for row in axes:  # the limits of a row are shared; set earlier, they would stay at what was drawn so far
        row[0].set_ylim(bottom=0)
    axes[0][0].set_ylabel("processor time of one\nmeta-gradient (s)")
    axes[1][0].set_ylabel("peak memory beyond\nthe imports (GB)")
    figure.tight_layout()
    save(figure, path)


if __name__ == "__main__":
    with exit_codes():
        sys.exit(write_report(RESULTS))
