"""Runs mutations of the science, each with the tests that must fail on it: `make mutants`.

    python tests/tools/mutants.py                 all of them, in two processes
    python tests/tools/mutants.py --slice 2/4     the second quarter
    python tests/tools/mutants.py --file losses   those of files whose names hold this text
    python tests/tools/mutants.py --check         that every text to replace stands once in its file; runs nothing

A mutant that no test fails on has survived. Every test runs without a mutation first, all tests of a file in one
process, so that a test which fails anyway catches nothing. Libraries are imported once; a forked process imports the
mutated package and runs the tests. The last line says how much processor time that took.
"""

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "tools" / "mutants.yaml"
PAGE = ROOT / "docs" / "mutants.md"
CAUGHT, SURVIVED, BROKEN = "caught", "SURVIVED", "BROKEN"
# Modules that take seconds to import and that no mutation changes.
LIBRARIES = ("numpy", "tensorflow", "keras", "tensorflow_probability", "gymnasium", "pytest", "yaml")
SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One mutation.

    Attributes:
        file: of the repository.
        old, new: a text of the file, and what replaces it.
        test: the test that must fail, below tests/.
    """

    file: str
    old: str
    new: str
    test: str


def read_mutants(path: pathlib.Path = TABLE) -> list[Mutant]:
    """The mutants of the table, each checked to change its file in one place."""
    mutants = []
    for group in yaml.safe_load(path.read_text(encoding="utf-8")):
        text = (ROOT / group["file"]).read_text(encoding="utf-8")
        for old, new, test in group["mutants"]:
            if text.count(str(old)) != 1:
                raise SystemExit(f"{group['file']}: {old!r} stands there {text.count(str(old))} times; expected once")
            if not (ROOT / "tests" / test.split("::")[0]).exists():
                raise SystemExit(f"{path}: there is no {test}")
            mutants.append(Mutant(group["file"], str(old), str(new), test))
    return mutants


def run_tests(tree: pathlib.Path, *tests: str) -> int:
    """pytest's exit code for tests in a tree, run in a forked process."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_run_pytest, args=(tree, tests))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        return 1  # a test that no longer ends has failed
    return process.exitcode


def _run_pytest(tree, tests):
    os.chdir(tree)
    sys.path[:] = [str(tree), *(entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != ROOT)]
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    import pytest

    os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *(f"tests/{test}" for test in tests)]))


def _start_worker(trees):
    global _tree
    for name in LIBRARIES:
        __import__(name)
    _tree = pathlib.Path(trees) / str(os.getpid())
    _copy_tree(_tree)


def _copy_tree(folder):
    """The files that git knows, and those that it does not ignore."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, names):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.startswith(("reproduce/results/videos", "reproduce/unfinished")):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def failing_anyway(tests: list[str]) -> list[str]:
    """Those of a file's tests that fail without a mutation."""
    return [test for test in tests if run_tests(_tree, test) != 0] if run_tests(_tree, *tests) != 0 else []


def outcome(mutant: Mutant) -> tuple[Mutant, str, float]:
    """Runs one mutant in this worker's tree."""
    started, path = time.monotonic(), _tree / mutant.file
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(text.replace(mutant.old, mutant.new, 1), encoding="utf-8")
        code = run_tests(_tree, mutant.test)
    finally:
        path.write_text(text, encoding="utf-8")
    # 1: tests failed. Other codes: no test ran, because the file cannot be imported for example.
    return mutant, {0: SURVIVED, 1: CAUGHT}.get(code, BROKEN), time.monotonic() - started


def page(outcomes: list[tuple[Mutant, str]]) -> str:
    """The documentation page of a whole run."""
    caught = sum(found == CAUGHT for _, found in outcomes)
    lines = [
        "# Mutants",
        "",
        "<!-- Generated by `make mutants`; do not edit. -->",
        "",
        "Each row is a change of one line of the science, and the test that fails on it. `make mutants` makes the "
        "changes one after the other and runs the tests. The list is `tests/tools/mutants.yaml`.",
        "",
        f"{caught} of {len(outcomes)} mutants are caught.",
        "",
        "| file | line | becomes | caught by | |",
        "|---|---|---|---|---|",
    ]
    for mutant, found in outcomes:
        texts = (" ".join(text.split()).replace("|", "\\|") for text in (mutant.old, mutant.new))
        old, new = (f"`{text}`" if text else "(nothing)" for text in texts)
        lines.append(f"| {mutant.file} | {old} | {new} | {mutant.test.replace('::', ' ')} | {found} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 where every mutant is caught."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slice", default="1/1", help="N/M: the N-th of M parts, which writes no page")
    parser.add_argument("--file", default="", metavar="TEXT", help="those of files whose names hold it; no page either")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: 2")
    parser.add_argument("--check", action="store_true", help="only check the list")
    options = parser.parse_args(arguments)
    mutants = read_mutants()
    if options.check:
        print(f"{len(mutants)} mutants, each changes its file in one place")
        return 0
    number, parts = map(int, options.slice.split("/"))
    chosen = [mutant for mutant in mutants[number - 1 :: parts] if options.file in mutant.file]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    outcomes: dict[Mutant, str] = {}
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="mutants_") as trees,
        concurrent.futures.ProcessPoolExecutor(
            options.jobs, multiprocessing.get_context("spawn"), _start_worker, (trees,)
        ) as workers,
    ):
        files: dict[str, list[str]] = {}
        for test in dict.fromkeys(mutant.test for mutant in chosen):
            files.setdefault(test.split("::")[0], []).append(test)
        failing = set()
        for found in workers.map(failing_anyway, files.values()):
            for test in found:
                print(f"{test}: fails without a mutation", flush=True)
            failing.update(found)
        for mutant, found, seconds in workers.map(outcome, [m for m in chosen if m.test not in failing]):
            outcomes[mutant] = found
            print(f"{found:8} {seconds:4.0f} s  {mutant.file}: {mutant.old!r} -> {mutant.new!r}", flush=True)
    survivors = sum(found != CAUGHT for found in outcomes.values())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, minutes = used.ru_utime + used.ru_stime, (time.monotonic() - started) / 60
    print(
        f"{len(outcomes) - survivors} of {len(chosen)} mutants caught, in {minutes:.0f} minutes and {seconds:.0f} "
        "processor seconds"
    )
    if len(chosen) == len(mutants) and not failing:
        PAGE.write_text(page([(mutant, outcomes[mutant]) for mutant in chosen]), encoding="utf-8")
    return 1 if survivors or failing else 0


if __name__ == "__main__":
    sys.exit(main())
