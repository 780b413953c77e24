"""The benchmark: `make bench`, and with the peers `make bench-peers`.

Every implementation is a separate process. It lives while its workload is measured and works only in its turn, so
that other work on the machine affects all implementations alike. The ratios are the result. First on one core, then on
two.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks import first_step
from benchmarks.benchmark import read_problem
from benchmarks.growth import GROWTH, GROWTH_BASE, growth_workloads
from benchmarks.implementations import ALL
from benchmarks.instruction_sets import INSTRUCTION_SETS, result_name
from benchmarks.measure import measure, start_worker
from benchmarks.peer_venvs import FOLDER, ROOT
from benchmarks.processes import WorkerProcess
from benchmarks.report import write_report
from benchmarks.result_files import RESULTS, origin_of, write_measurement
from benchmarks.workloads import WORKLOADS, Workload
from maml_tf.cli import exit_codes
from maml_tf.errors import UsageError


def main() -> None:
    """Measures what the command line asks for and writes the result files and the report."""
    arguments = parse_arguments()
    available = sorted(os.sched_getaffinity(0), reverse=True)
    core_counts = [number for number in arguments.cores if number <= len(available)]
    if not core_counts:
        raise UsageError(f"--cores {arguments.cores}: this machine has {len(available)}")
    os.environ.update(INSTRUCTION_SETS.get(arguments.instruction_set, {}))
    if arguments.growth:
        measure_growth(set(available[:1]))
    if arguments.first_step:
        measure_first_steps(set(available[: max(core_counts)]), arguments)
    if arguments.growth or arguments.first_step:
        arguments.workloads = []
    for name in arguments.workloads:
        workload = WORKLOADS[name]
        names = [*workload.implementations, *(workload.peers if arguments.peers else ())]
        if arguments.implementations is not None:
            names = [name for name in names if name == "ours" or name in arguments.implementations]
        problem_file = write_problem(workload, arguments.data)
        for number in core_counts:
            rounds = arguments.rounds or workload.rounds
            measured = measure(workload, problem_file, names, set(available[:number]), rounds)
            file_name = result_name(workload.name, arguments.peers, arguments.instruction_set)
            write_result(file_name, workload, problem_file, number, measured)
    write_report(RESULTS)


def parse_arguments() -> argparse.Namespace:
    """The command line's arguments.

    Raises:
        UsageError: a name or number that is not allowed, or a system other than Linux.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"default: all, {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", action="store_true", help="with the peers, each in its own virtual environment")
    parser.add_argument("--implementations", nargs="*", metavar="NAME", help="ours and these only; default: all")
    parser.add_argument("--growth", action="store_true", help="the growth of time and memory, and no workloads")
    parser.add_argument("--first-step", action="store_true", help="the time to the first meta-gradient only")
    parser.add_argument("--rounds", type=int, help="turns of every implementation; default: as the workload says")
    parser.add_argument("--cores", type=int, nargs="*", default=[1, 2], help="numbers of cores; default: 1 2")
    parser.add_argument("--instruction-set", choices=INSTRUCTION_SETS, help="use no more; default: the processor's")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "data" / "prepared")
    arguments = parser.parse_args()
    arguments.workloads = arguments.workloads or list(WORKLOADS)
    for name in arguments.workloads:
        if name not in WORKLOADS:
            raise UsageError(f"workload {name!r}: allowed are {', '.join(WORKLOADS)}")
    for name in arguments.implementations or ():
        if name not in ALL:
            raise UsageError(f"--implementations {name}: allowed are {', '.join(ALL)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds}: at least 1 is needed")
    if arguments.instruction_set and (arguments.growth or arguments.first_step):
        raise UsageError("--instruction-set is for workloads, not for --growth and --first-step")
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("the benchmark needs Linux, which can restrict a process to some cores")
    return arguments


def measure_growth(core: set[int]) -> None:
    """Writes `growth.json`: time and peak memory of ours on one core for each size, each in a new process."""
    points: dict[str, list[dict[str, Any]]] = {size: [] for size in GROWTH}
    for (size, value), workload in growth_workloads().items():
        problem_file = write_problem(workload, None)
        entry = measure(workload, problem_file, ["ours"], core, workload.rounds)["implementations"]["ours"]
        kept = ("seconds", "cpu_seconds", "imported_bytes", "peak_bytes")
        points[size].append({"value": value} | {key: entry[key] for key in kept})
    write_measurement(RESULTS / "growth.json", {"base": GROWTH_BASE, "points": points, **origin_of("benchmarks.run")})


def measure_first_steps(cores: set[int], arguments: argparse.Namespace) -> None:
    """Writes `first_step.json`: the time to the first meta-gradient on the most cores, with or without the peers."""
    problem_files = {name: write_problem(WORKLOADS[name], arguments.data) for name in first_step.WORKLOADS}

    def start(workload: str, name: str) -> WorkerProcess:
        problem, _ = read_problem(problem_files[workload])
        return start_worker(problem, problem_files[workload], name, cores)

    names = [*first_step.IMPLEMENTATIONS, *(first_step.PEERS if arguments.peers else ())]
    measured = first_step.measure_first_steps(names, start)
    write_measurement(
        RESULTS / "first_step.json", {"cores": len(cores), "workloads": measured, **origin_of("benchmarks.run")}
    )


def write_problem(workload: Workload, data_folder: pathlib.Path | None) -> pathlib.Path:
    """Has a process with TensorFlow write the problem, and returns the path.

    This process imports no TensorFlow: a child's peak memory starts at that of its parent.
    """
    path = FOLDER / "problems" / f"{workload.name}.npz"
    command = [sys.executable, "-m", "benchmarks.problems", workload.name, str(path)]
    command += [] if data_folder is None else [str(data_folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{workload.name}: the problem could not be written:\n{done.stderr}")
    return path


def write_result(
    file_name: str, workload: Workload, problem_file: pathlib.Path, number: int, measured: dict[str, Any]
) -> None:
    """Writes a result file.

    Measurements of the same problem on another number of cores stay in the file.

    Args:
        file_name: in benchmarks/results.
        workload: what was measured.
        problem_file: of its problem.
        number: of cores.
        measured: the result of `measure`.
    """
    problem, _ = read_problem(problem_file)
    path = RESULTS / file_name
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    others = before["cores"] if before.get("problem") == problem else {}
    write_measurement(
        path, {"problem": problem, "cores": others | {str(number): measured | origin_of("benchmarks.run")}}
    )
    for name, ratio in measured["ratios"].items():
        low, high = ratio["quartiles"]
        print(f"{workload.name}, {number} cores: {name} / ours {ratio['of_medians']:.3g} ({low:.3g} to {high:.3g})")
    if "peak" in measured:
        print(f"{workload.name}, {number} cores: {measured['peak']['share']:.0%} of the matrix-product peak")


if __name__ == "__main__":
    with exit_codes():
        main()
