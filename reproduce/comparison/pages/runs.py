"""A row for every result file of a panel: seeds, iterations, chosen models, time, machine, commits, command."""

import pathlib

from maml_tf.experiments.results import Result
from reproduce.comparison.pages.markdown import duration, link_between, machine, number, shown_seeds, table
from reproduce.comparison.pages.panels import rows_of
from reproduce.comparison.pages.record import Record

HEADERS = ["result file", "seeds", "iterations", "model tested", "time", "machine", "commit", "command"]


def runs(record: Record, page: pathlib.Path, panel: str) -> str:
    """The table of a panel's result files."""
    results = {row.result.spec: row.result for row in rows_of(record, panel) if row.result is not None}
    return table(HEADERS, [_cells(record, page, result) for result in results.values()])


def link_to(record: Record, page: pathlib.Path, result: Result) -> str:
    """A link from a page to a result file."""
    return f"[{result.spec}]({link_between(page, record.path_of(result))})"


def _cells(record, page, result):
    iterations = "—"
    if result.iterations_asked:
        whole = result.iterations_done >= result.iterations_asked
        iterations = str(result.iterations_done) if whole else f"{result.iterations_done} of {result.iterations_asked}"
    return [
        link_to(record, page, result),
        shown_seeds(result.seeds) if result.iterations_asked or result.settings else "—",
        iterations,
        _model(result),
        duration(result.wall_seconds),
        machine(result.hardware),
        _commits(result),
        f"`{result.command}`",
    ]


def _model(result):
    """Which iteration's model was tested, for each seed."""
    seeds = [seed for seed in result.settings.values() if "best_iteration" in seed]
    if not seeds:
        return "last" if result.iterations_done else "untrained" if "random" in result.spec else "—"
    iterations = ", ".join(str(seed["best_iteration"]) for seed in seeds)
    if "best_validation_accuracy" in seeds[0]:
        scores = ", ".join(f"{seed['best_validation_accuracy']:.1f}" for seed in seeds)
        return f"best in validation: {iterations} ({scores} %)"
    returns = ", ".join(number(seed["best_training_return"], 3) for seed in seeds)
    return f"best return in training: {iterations} ({returns})"


def _commits(result):
    trained = [seed["trained_at"] for seed in result.settings.values() if seed.get("trained_at")]
    commits = list(dict.fromkeys(commit.strip()[:7] for text in trained for commit in text.split(",")))
    tested = result.git_commit[:7] + ("+dirty" if result.git_commit.endswith("+dirty") else "")
    return f"{tested} (trained at {', '.join(commits)})" if commits and commits != [tested] else tested
