"""Compares everything measured with the paper: `make compare`. Exit code 0 within tolerance, 1 outside."""

import argparse
import json
import pathlib
import sys

from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import EXIT_OUTSIDE_TOLERANCE, UsageError
from maml_tf.experiments.results import read_results
from reproduce.common import HERE, RESULTS, ROOT
from reproduce.comparison.readme_table import readme_table
from reproduce.comparison.tables import as_json, markdown_table, summary, text_table
from reproduce.comparison.targets import read_targets
from reproduce.comparison.verdicts import CITATION, NOT_RUN, REDUCED, Comparison, compare, read_known_failures

README_START, README_END = "<!-- comparison:start -->", "<!-- comparison:end -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="ID", help="targets and claims of this id or beginning so; they must have been run"
    )
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--targets", type=pathlib.Path, default=HERE / "targets.yaml")
    parser.add_argument("--known-failures", type=pathlib.Path, default=HERE / "known_failures.yaml")
    parser.add_argument("--update-readme", action="store_true", help="rewrite the table in README.md")
    arguments = parser.parse_args()
    targets = read_targets(arguments.targets)
    known_failures = read_known_failures(arguments.known_failures, targets)
    comparison = compare(targets, read_results(arguments.results), known_failures)
    if arguments.only:
        return print_and_judge(selected(comparison, arguments.only), must_be_run=True)
    with atomic_write(arguments.results / "comparison.md") as file:
        file.write(markdown_table(comparison))
    with atomic_write(arguments.results / "comparison.json") as file:
        json.dump(as_json(comparison), file, indent=1)
        file.write("\n")
    if arguments.update_readme:
        update_readme(comparison)
    return print_and_judge(comparison)


def compare_only(prefixes):
    """Prints the comparison of some targets and claims after a training; returns the exit code."""
    targets = read_targets(HERE / "targets.yaml")
    comparison = compare(targets, read_results(RESULTS), read_known_failures(HERE / "known_failures.yaml", targets))
    return print_and_judge(selected(comparison, prefixes))


def paper_points(experiment, panels):
    """The paper's known points for a figure with a panel for each K: (K, method, gradient steps, value)."""
    return [
        (target.setting["shots"], target.method, target.grad_step, target.paper_mean)
        for target in read_targets(HERE / "targets.yaml").entries
        if target.experiment == experiment
        and target.method in ("maml", "pretrained", "oracle")
        and target.setting.get("shots") in panels
        and target.paper_mean is not None
    ]


def selected(comparison, prefixes):
    """The rows whose id is or begins with one of `prefixes`; UsageError when a prefix fits none.

    A whole id selects its own row only: `..._step1` is not `..._step10`.
    """
    ids = [row.target.id for row in (*comparison.rows, *comparison.claims)]
    chosen = set()
    for prefix in prefixes:
        fitting = [prefix] if prefix in ids else [id_ for id_ in ids if id_.startswith(prefix)]
        if not fitting:
            raise UsageError(f"--only {prefix}: no id of targets.yaml begins so")
        chosen.update(fitting)
    rows, claims = (
        tuple(row for row in group if row.target.id in chosen) for group in (comparison.rows, comparison.claims)
    )
    return Comparison(rows, claims)


def print_and_judge(comparison, must_be_run=False):
    """Prints table, misses and counts; returns the gate's exit code."""
    print(text_table(comparison, skip=() if must_be_run else (NOT_RUN, CITATION)))
    print()
    for row in (*comparison.rows, *comparison.claims):
        if row.explained:
            kind = "HOLDS HERE, ROUNDING DECIDES" if row.lucky else "MISS"
            print(f"{kind} (known since {row.known_failure.since}): {row.target.id}: {row.known_failure.cause}")
    code, messages = comparison.gate()
    if must_be_run:
        for row in (*comparison.rows, *comparison.claims):
            if row.verdict in (NOT_RUN, REDUCED) and getattr(row.target, "gated", True):
                messages.append(
                    f"{row.target.id}: there is no paper-scale result to judge ({row.detail or row.verdict})"
                )
                code = EXIT_OUTSIDE_TOLERANCE
    for message in messages:
        print(f"FAIL: {message}")
    print(summary(comparison))
    return code


def update_readme(comparison):
    """Puts the table of everything that was run between the markers in README.md."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    if text.count(README_START) != 1 or text.count(README_END) != 1:
        raise UsageError(f"{path}: the markers {README_START} and {README_END} must stand in it once each")
    before, rest = text.split(README_START)
    after = rest.split(README_END)[1]
    table = readme_table(comparison, skip=(NOT_RUN, CITATION))
    with atomic_write(path) as file:
        file.write(f"{before}{README_START}\n{table}{README_END}{after}")


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
