"""Measures workloads, every side in turn: `make bench`, and with the peers `make bench-peers`.

Every side is a process of its own that lives as long as its workload is measured and works only when it is its turn, so
that all sides share whatever else the machine is doing; what counts are the ratios. First on one core, then on two.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

import numpy as np

from benchmarks.environments import FOLDER, RL_SIDES, ROOT, SIDES, NotInstalledError, python_of
from benchmarks.prepared import read_problem
from benchmarks.processes import SideFailedError, SideProcess
from benchmarks.report import write_report
from benchmarks.sgemm import MULTIPLY_ADDS as SGEMM_MULTIPLY_ADDS
from benchmarks.workloads import GROWTH, GROWTH_BASE, WORKLOADS, growth_workloads, multiply_adds
from maml_tf._io import atomic_write
from maml_tf.cli import command_line, exit_codes
from maml_tf.errors import UsageError
from maml_tf.experiments.results import provenance

RESULTS = ROOT / "benchmarks" / "results"
# One turn of a side lasts about as long, so that fast sides are not measured by the clock's resolution.
TURN_SECONDS = 0.25
# The most that a meta-gradient may differ from ours, as the norm of the difference over all parameters. Float32 rounds
# to 6e-8, and sums of 1e5 terms and steps of 2.0 along the gradient make up to some 1e-5 of it; the commonest mistake,
# a batch norm without its full second derivative, shows as 3e-3 and more.
TOLERANCE = 1e-3
# Where that is exceeded a side may be as many times as far from the meta-gradient in float64 as ours is. On
# mini-ImageNet with five shots right programs differ by 0.01: so many ReLUs and max-pools choose by the last bit.
TIMES_AS_FAR = 2
# A side that has been timed for so long gets no further turn: some peers take a hundred times as long as ours.
SIDE_SECONDS = 60
LIMITS = ("sgemm", "convolutions")  # sides that compute no meta-gradient but show what bounds one
ROUNDED = ("ours_bfloat16",)  # sides whose difference is what their speed costs: measured, and whatever it is
START_LIMIT = 600  # seconds that a side may take until its first result: peers' compilers are slow on convolutions


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"all by default: {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", action="store_true", help="with the peers, each in an environment of its own")
    parser.add_argument("--sides", nargs="*", metavar="SIDE", help="ours and these only; default: all")
    parser.add_argument("--growth", action="store_true", help="how time and memory grow, in place of the workloads")
    parser.add_argument("--rounds", type=int, help="turns of every side; by default as the workload says")
    parser.add_argument("--cores", type=int, nargs="*", default=[1, 2], help="numbers of cores; default: 1 2")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "data" / "prepared")
    arguments = parser.parse_args()
    names = arguments.workloads or list(WORKLOADS)
    for name in names:
        if name not in WORKLOADS:
            raise UsageError(f"workload {name!r}: allowed are {', '.join(WORKLOADS)}")
    for side in arguments.sides or ():
        if side not in SIDES | RL_SIDES:
            raise UsageError(f"--sides {side}: allowed are {', '.join(SIDES | RL_SIDES)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds}: at least 1 is needed")
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("the benchmark needs Linux, where a process can be kept on chosen cores")
    available = sorted(os.sched_getaffinity(0), reverse=True)
    core_counts = [number for number in arguments.cores if number <= len(available)]
    if not core_counts:
        raise UsageError(f"--cores {arguments.cores}: this machine has {len(available)}")

    if arguments.growth:
        measure_growth(set(available[:1]))
        names = []
    for name in names:
        workload = WORKLOADS[name]
        sides = [*workload.sides, *(workload.peers if arguments.peers else ())]
        if arguments.sides is not None:
            sides = [side for side in sides if side == "ours" or side in arguments.sides]
        problem_file = write_problem(workload, arguments.data)
        for number in core_counts:
            rounds = arguments.rounds or workload.rounds
            measured = measure(workload, problem_file, sides, set(available[:number]), rounds)
            write_result(workload, problem_file, number, measured, peers=arguments.peers)
    write_report(RESULTS)


def measure_growth(core):
    """Writes `growth.json`: our time and peak memory on one core against one size at a time, each in a new process."""
    points = {size: [] for size in GROWTH}
    for (size, value), workload in growth_workloads().items():
        problem_file = write_problem(workload, None)
        entry = measure(workload, problem_file, ["ours"], core, workload.rounds)["sides"]["ours"]
        points[size].append({"value": value, "seconds": entry["seconds"], "cpu_seconds": entry["cpu_seconds"]})
        points[size][-1] |= {key: entry[key] for key in ("imported_bytes", "peak_bytes")}
    _write(RESULTS / "growth.json", {"base": GROWTH_BASE, "points": points, **_origin()})


def write_problem(workload, data_folder):
    """Has a process with TensorFlow write the problem; this one stays small (see side.py on peak memory)."""
    path = FOLDER / "problems" / f"{workload.name}.npz"
    command = [sys.executable, "-m", "benchmarks.problems", workload.name, str(path)]
    command += [] if data_folder is None else [str(data_folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{workload.name}: the problem could not be written:\n{done.stderr}")
    return path


def measure(workload, problem_file, sides, cores, rounds):
    """Measures all sides of a workload turn by turn.

    Args:
        workload: a Workload.
        problem_file: its problem.
        sides: names of the sides, "ours" first.
        cores: set of processor cores.
        rounds: turns of every side.

    Returns:
        A mapping for the result file, as read by report.py.

    Raises:
        SideFailedError: our side failed. Another side's failure is noted in its place.
    """
    problem, _ = read_problem(problem_file)
    load = [os.getloadavg()[0]]
    running, entries = {}, {}
    with contextlib.ExitStack() as stack:
        for side in [*sides, *(["sgemm"] if multiply_adds(problem) else [])]:
            print(f"{workload.name}, {len(cores)} cores: {side}", end="", flush=True)
            try:
                running[side], entries[side], seconds = _started(stack, problem, problem_file, side, cores)
                print(f": {seconds:.4g} s", flush=True)
            except (NotInstalledError, SideFailedError) as error:
                if side == "ours":
                    raise
                entries[side] = {"failed": str(error)}
                print(f": {error}", flush=True)
        for turn in range(rounds):
            # In another order every turn: who always came after the products of sgemm took up to a tenth longer.
            for side, process in random.Random(turn).sample(list(running.items()), len(running)):
                entry = entries[side]
                if sum(entry["seconds"]) * entry["repetitions"] > SIDE_SECONDS:
                    continue
                try:
                    answer = process.ask(entry["repetitions"])
                except SideFailedError as error:
                    if side == "ours":
                        raise
                    entries[side] = {"failed": str(error)}
                    del running[side]
                    continue
                entry["seconds"].append(answer["seconds"])
                entry["cpu_seconds"].append(answer["cpu_seconds"])
                entry |= {key: answer[key] for key in ("units", "imported_bytes", "peak_bytes", "versions")}
    load.append(os.getloadavg()[0])
    return {"rounds": rounds, "load_average": load, "sides": entries} | compared(problem, entries)


def compared(problem, sides):
    """What follows from the sides' times: ratios to ours, and our share of the matrix-product peak.

    Args:
        problem: its description.
        sides: the entries of a result file; "seconds" are those of each turn's repetition.

    Returns:
        {"ratios": {side: {"of_medians", "quartiles"}}, "peak": {...}}: how many times as long as ours a side takes,
        with the quartiles of the turns' own ratios.
    """
    timed = {name: entry for name, entry in sides.items() if entry.get("seconds")}

    def per_unit(name, key):
        return [seconds / timed[name]["units"] for seconds in timed[name][key]]

    def times_ours(name, key):
        return statistics.median(per_unit(name, key)) / statistics.median(per_unit("ours", key))

    ratios = {}
    for name in timed:
        if name not in ("ours", "sgemm"):
            turns = zip(per_unit(name, "seconds"), per_unit("ours", "seconds"), strict=False)  # the slow have fewer
            ratios[name] = {
                "of_medians": times_ours(name, "seconds"),
                "quartiles": np.quantile([other / ours for other, ours in turns], [0.25, 0.75]).tolist(),
                "of_cpu_medians": times_ours(name, "cpu_seconds"),
            }
    result = {"ratios": ratios}
    if "sgemm" in timed:
        work = multiply_adds(problem)
        reached = work / statistics.median(per_unit("ours", "seconds"))
        peak = SGEMM_MULTIPLY_ADDS / statistics.median(per_unit("sgemm", "seconds"))
        result["peak"] = {
            "multiply_adds": work,
            "sgemm_gflops": 2 * peak / 1e9,
            "ours_gflops": 2 * reached / 1e9,
            "share": reached / peak,
            "share_of_cpu_time": work / SGEMM_MULTIPLY_ADDS * times_ours("sgemm", "cpu_seconds"),
        }
    return result


def _started(stack, problem, problem_file, side, cores):
    """A side's process after its first result, which agrees with ours, its entry so far, a repetition's seconds."""
    process = _process(problem, problem_file, side, cores)
    stack.callback(process.close)
    values = _values_file(problem, side)
    values.parent.mkdir(parents=True, exist_ok=True)
    answer = process.ask(1, save=values, limit=START_LIMIT)
    entry = {
        "start_up_seconds": process.seconds_since_start(),
        "start_up_cpu_seconds": answer["cpu_seconds_so_far"],
        "seconds": [],
        "cpu_seconds": [],
    }
    ours = read_values(_values_file(problem, "ours"))
    if ours and side in ROUNDED:
        entry["difference"] = difference(read_values(values), ours)
    elif ours and side not in ("ours", *LIMITS):
        try:
            entry |= checked(read_values(values), ours, lambda: _values_in_float64(problem, problem_file, cores))
        except SideFailedError:
            process.close()
            raise
    entry["repetitions"], seconds = 1, process.ask(1)["seconds"]
    if seconds < TURN_SECONDS:  # once more with many, among which the cost of one request is nothing
        seconds = process.ask(math.ceil(TURN_SECONDS / seconds))["seconds"]
        entry["repetitions"] = math.ceil(TURN_SECONDS / seconds)
    return process, entry, seconds


def _process(problem, problem_file, side, cores):
    where = (RL_SIDES if "environment" in problem else SIDES)[side]
    log = FOLDER / "logs" / f"{problem['workload']}-{side}.txt"
    return SideProcess(python_of(where.environment), where.module, side, problem_file, cores, log)


def checked(found, ours, in_float64):
    """How far a side's result is from ours and, where that is more than TOLERANCE, how far both are from float64's.

    Args:
        found, ours: lists of arrays.
        in_float64: () -> ours in float64.

    Returns:
        {"difference"}, or {"difference", "off", "ours_off"}: norms over those of ours or of float64's.

    Raises:
        SideFailedError: the side's is more than TIMES_AS_FAR as far from float64's as ours.
    """
    distances = {"difference": difference(found, ours)}
    if distances["difference"] <= TOLERANCE:
        return distances
    exact = in_float64()
    distances |= {"off": difference(found, exact), "ours_off": difference(ours, exact)}
    if not distances["off"] <= TIMES_AS_FAR * distances["ours_off"]:  # nor where it is not a number
        raise SideFailedError(
            f"its result differs from ours by {distances['difference']:.2g}, where {TOLERANCE} is allowed, "
            f"and from float64 by {distances['off']:.2g}, where ours does by {distances['ours_off']:.2g}"
        )
    return distances


def _values_file(problem, side):
    return FOLDER / "values" / f"{problem['workload']}-{side}.npz"


def _values_in_float64(problem, problem_file, cores):
    """Our result in float64; computed once for all sides that want it."""
    side = "ours_float64"
    values = _values_file(problem, side)
    if not values.exists() or values.stat().st_mtime < _values_file(problem, "ours").stat().st_mtime:
        with contextlib.closing(_process(problem, problem_file, side, cores)) as process:
            process.ask(1, save=values, limit=START_LIMIT)
    return read_values(values)


def read_values(path):
    """The arrays that a side saved, in order."""
    with np.load(path) as archive:
        return [archive[name] for name in archive.files]


def difference(found, expected):
    """Norm of the difference of two lists of arrays over the norm of the second."""
    squares = sum(float(np.square(f.astype(np.float64) - e).sum()) for f, e in zip(found, expected, strict=True))
    return math.sqrt(squares / sum(float(np.square(e.astype(np.float64)).sum()) for e in expected))


def write_result(workload, problem_file, number, measured, peers):
    """Writes `<workload>.json`, or `<workload>_peers.json` for a run with the peers.

    What another number of cores gave on the same problem stays.

    Args:
        workload: a Workload.
        problem_file: its problem.
        number: of cores.
        measured: what `measure` returned.
        peers: whether the peers took part.
    """
    problem, _ = read_problem(problem_file)
    path = RESULTS / f"{workload.name}{'_peers' if peers else ''}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    others = before["cores"] if before.get("problem") == problem else {}
    _write(path, {"problem": problem, "cores": others | {str(number): measured | _origin()}})
    for side, ratio in measured["ratios"].items():
        low, high = ratio["quartiles"]
        print(f"{workload.name}, {number} cores: {side} / ours {ratio['of_medians']:.3g} ({low:.3g} to {high:.3g})")
    if "peak" in measured:
        print(f"{workload.name}, {number} cores: {measured['peak']['share']:.0%} of the matrix-product peak")


def _origin():
    """Where a measurement comes from."""
    return provenance() | {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "command": command_line("-m", "benchmarks.run"),
    }


def _write(path, content):
    with atomic_write(path) as file:
        json.dump(content, file, indent=1, allow_nan=False)
        file.write("\n")


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
