"""Compares the published results, and those of your own runs, with the paper. `make compare`.

Prints the paper's number, the published one and yours, and judges yours first. Writes comparison.md and
comparison.json below the folder of runs. Exit codes: 0 everything within its tolerance or a known failure, 1 not,
2 wrong usage or a damaged file.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence

from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import EXIT_OUTSIDE_TOLERANCE, UsageError
from reproduce import paths
from reproduce.comparison import load_comparison
from reproduce.comparison.gate import Judged, gate, read_expected
from reproduce.comparison.tables import (
    as_json,
    full_table,
    informative_share,
    judged_share,
    markdown_table,
    summary,
    text_table,
    verdict_words,
)
from reproduce.comparison.verdicts import CITATION, NOT_RUN, PARTIAL, Comparison


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ID",
        help="targets and claims whose id is or begins with this; they must be judged",
    )
    parser.add_argument("--published", type=pathlib.Path, metavar="FOLDER", default=paths.PUBLISHED.results)
    parser.add_argument("--runs", type=pathlib.Path, default=paths.RUNS, help="where your own results are")
    parser.add_argument("--targets", type=pathlib.Path, default=paths.TARGETS)
    parser.add_argument("--known-failures", type=pathlib.Path, default=paths.KNOWN_FAILURES)
    parser.add_argument("--gate", type=pathlib.Path, default=paths.GATE, help="the least numbers that must be judged")
    arguments = parser.parse_args()
    published = dataclasses.replace(paths.PUBLISHED, results=arguments.published)
    yours = paths.own_store(arguments.runs)
    comparison = load_comparison(published, yours, targets=arguments.targets, known_failures=arguments.known_failures)
    if arguments.only:
        comparison = selected(comparison, arguments.only)
        return print_and_judge(comparison, text_table(comparison), must_be_run=True)
    write_comparison(comparison, yours.comparison)
    table = text_table(comparison, skip=(NOT_RUN, CITATION))
    return print_and_judge(comparison, table, expected=read_expected(arguments.gate))


def compare_some(ids: Sequence[str], runs: pathlib.Path = paths.RUNS) -> int:
    """Prints some targets and claims in full after a training; returns the gate's exit code for them."""
    comparison = load_comparison(yours=paths.own_store(runs)).restricted_to(set(ids))
    return print_and_judge(comparison, full_table(comparison))


def write_comparison(comparison: Comparison, folder: pathlib.Path) -> None:
    """Writes comparison.md and comparison.json into a folder."""
    with atomic_write(folder / "comparison.md") as file:
        file.write(markdown_table(comparison))
    with atomic_write(folder / "comparison.json") as file:
        json.dump(as_json(comparison), file, indent=1)
        file.write("\n")


def selected(comparison: Comparison, prefixes: Sequence[str]) -> Comparison:
    """The rows whose id is or begins with one of `prefixes`; UsageError when a prefix fits none.

    A whole id selects its own row only: `..._step1` does not select `..._step10`.
    """
    ids = [row.target.id for row in comparison.all_rows]
    chosen = set()
    for prefix in prefixes:
        fitting = [prefix] if prefix in ids else [id_ for id_ in ids if id_.startswith(prefix)]
        if not fitting:
            raise UsageError(f"--only {prefix}: no id of targets.yaml begins with it")
        chosen.update(fitting)
    return comparison.restricted_to(chosen)


def print_and_judge(
    comparison: Comparison, table: str, *, must_be_run: bool = False, expected: Judged | None = None
) -> int:
    """Prints a table, the known failures and the counts; returns the gate's exit code.

    Args:
        comparison: everything, or some of its rows.
        table: of its rows.
        must_be_run: a gated target or a claim without a verdict fails too.
        expected: see `reproduce.comparison.gate.gate`.
    """
    print(table, end="\n\n")
    for row in comparison.all_rows:
        if row.explained:
            since = f"known since {row.known_failure.since}"
            print(f"{verdict_words(row)}, {since}: {row.target.id}: {row.known_failure.cause}")
    code, messages = gate(comparison, expected)
    if must_be_run:
        for row in comparison.all_rows:
            if row.verdict in (NOT_RUN, PARTIAL) and getattr(row.target, "gated", True):
                why = row.detail or row.verdict
                messages.append(f"{row.target.id}: there is no paper-scale result to judge ({why})")
                code = EXIT_OUTSIDE_TOLERANCE
    for message in messages:
        print(f"FAIL: {message}")
    print(summary(comparison))
    print(informative_share(comparison))
    if expected is not None:
        print(judged_share(comparison))
    return code


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
