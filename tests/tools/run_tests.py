"""Runs all tests in parts, each in a process that ends afterwards and so returns its memory.

    python tests/tools/run_tests.py                # as `make test` does
    python tests/tools/run_tests.py --processes 1  # one part after the other

XLA keeps compiled programs until a process ends. The parts keep each process below 2.5 GB on two cores. One part runs
on each core at a time. For each part, the script prints the result, the time, the time of all processors, and the peak
memory of the largest process. The output of a part is printed where a test fails.

Exit code 0: all tests pass. 1: a test fails. 2: wrong usage.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
_NONE_COLLECTED = 5  # pytest's exit code where a selection leaves no test


class Part(NamedTuple):
    """Tests that run in one process.

    Attributes:
        paths: files and folders. What another part names in such a folder is left out.
        select: pytest's -k.
    """

    paths: Sequence[str]
    select: str = ""

    def __str__(self) -> str:
        return " ".join(self.paths) + (f' -k "{self.select}"' if self.select else "")


def split(path: str, *words: str) -> list[Part]:
    """A part for the tests of a path with each word in their name, and one for the tests with none of the words."""
    selections = [" and ".join([word, *(f"not {before}" for before in words[:i])]) for i, word in enumerate(words)]
    return [Part([path], select) for select in [*selections, " and ".join(f"not {word}" for word in words)]]


# The longest parts first, so that no core waits long at the end.
PARTS = [
    Part(["tests"]),
    Part(["tests/rl"]),
    Part(["tests/experiments/test_specs_run.py"]),
    Part(["tests/training", "tests/baselines", "tests/methods"]),
    Part(["tests/examples", "tests/test_cli.py", "tests/test_docs.py", "tests/test_extending.py"]),
    Part(["tests/experiments"]),
    Part(["tests/meta", "tests/evaluation"]),
    Part(["tests/ops", "tests/models"]),
    Part(["tests/benchmarks"]),
    Part(["tests/export"]),
    *reversed(split("tests/pins", "miniimagenet")),
]


def words_of(part: Part, parts: Sequence[Part]) -> list[str]:
    """The words of pytest's command line for one of several parts."""
    named = {path for other in parts for path in other.paths}
    inside = sorted(path for path in named if any(path.startswith(f"{folder}/") for folder in part.paths))
    return [*part.paths, *(f"--ignore={path}" for path in inside), *(["-k", part.select] if part.select else [])]


class Ended(NamedTuple):
    """How a part ended.

    Attributes:
        part: its tests.
        code: exit code of pytest.
        output: what pytest printed.
        seconds: from its start to its end.
        processor_seconds: of its process and the processes that these started.
        peak_gb: the memory of the largest of these processes.
    """

    part: Part
    code: int
    output: str
    seconds: float
    processor_seconds: float
    peak_gb: float

    @property
    def passed(self) -> bool:
        """Whether no test failed. A selection by -k may leave no test."""
        return self.code in (0, _NONE_COLLECTED)

    @property
    def summary(self) -> str:
        """The last line that pytest printed: how many tests passed, failed and were skipped."""
        return (self.output.strip().splitlines() or ["no output"])[-1]

    def __str__(self) -> str:
        return (
            f"{'passed' if self.passed else 'FAILED'}: {self.part}\n    {self.summary}; "
            f"{self.processor_seconds:.0f} s of processor time, peak memory {self.peak_gb:.1f} GB"
        )


def run_parts(parts: Sequence[Part], processes: int, environment: Mapping[str, str] | None = None) -> Iterator[Ended]:
    """Runs pytest for each part, in the given order, and yields the parts as they end.

    Args:
        parts: what to run.
        processes: how many run at a time.
        environment: variables of the processes; by default those of this one.
    """
    waiting, running = collections.deque(parts), {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    part, output = waiting.popleft(), pathlib.Path(folder, f"{len(waiting)}.txt")
                    # Hypothesis' tests need no plugin, and to import it takes a second in every part.
                    plugins = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
                    words = ["--tb=short", *plugins, *words_of(part, parts)]
                    with output.open("w") as file:
                        process = subprocess.Popen(
                            [sys.executable, "-m", "pytest", *words],
                            cwd=ROOT,
                            env=environment,
                            stdout=file,
                            stderr=subprocess.STDOUT,
                        )
                    running[process.pid] = process, part, output, time.monotonic()
                pid, status, usage = os.wait3(0)
                if pid not in running:  # somebody else's child
                    continue
                process, part, output, started = running.pop(pid)
                process.returncode = os.waitstatus_to_exitcode(status)
                yield Ended(
                    part,
                    process.returncode,
                    output.read_text(encoding="utf-8", errors="replace"),
                    time.monotonic() - started,
                    usage.ru_utime + usage.ru_stime,
                    usage.ru_maxrss / 2**20,
                )
        finally:
            for process, *_ in running.values():
                process.terminate()
                process.wait()


def run_and_print(
    parts: Sequence[Part], processes: int, environment: Mapping[str, str] | None = None
) -> Iterator[Ended]:
    """Runs the parts as `run_parts` does, and prints how each ends before it yields it."""
    for run in run_parts(parts, processes, environment):
        print(run if run.passed else f"{run.output}\n{run}", flush=True)
        yield run


def positive(text: str) -> int:
    """A whole number from 1, for an argument of a command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; expected a whole number from 1")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Runs all tests; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--processes", type=positive, default=cores, metavar="N", help="parts at a time; default: one on each core"
    )
    processes = parser.parse_args(arguments).processes
    started = time.monotonic()
    ended = list(run_and_print(PARTS, processes))
    passed = all(run.passed for run in ended)
    print(
        f"{'passed' if passed else 'FAILED'} in {time.monotonic() - started:.0f} s, {processes} at a time, "
        f"{sum(run.processor_seconds for run in ended):.0f} s of processor time, "
        f"peak memory {max(run.peak_gb for run in ended):.1f} GB"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
