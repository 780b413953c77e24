"""The table as Markdown, and the figure."""

import math
import pathlib
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maml_tf.experiments.results import Result
from reproduce import paths
from reproduce.beyond.rows import Column, Row, costs_of, read_methods, result_of
from reproduce.comparison.pages import markdown

if TYPE_CHECKING:
    import matplotlib.figure

NOT_RUN, NOTHING = "not run", "—"
FIGURE = "beyond"
DIVERGED = 1e4  # returns and accuracies are smaller
ONE_AT_A_TIME = "accuracy_one_at_a_time"  # among a seed's settings: the test that is not transductive


def table(stores: Sequence[paths.Store]) -> str:
    """The comparison: one row a method, ours and the published number of every column, cost and memory.

    Args:
        stores: where results are looked for; the first that has one counts.
    """
    methods, costs = read_methods(), costs_of(stores)
    headers = ["method"]
    for column in methods.columns.values():
        headers += [column.title, "published"]
    lines = []
    for row in methods.rows:
        cells = [row.title]
        for name, column in methods.columns.items():
            cells += [_ours(row, name, column, stores), _published(row, name)]
        lines.append([*cells, *_cost(row, methods.columns, costs)])
    return markdown.table([*headers, "cost", "memory"], lines) + "\n"


def block(record: Any, page: pathlib.Path) -> str:
    """The table of the published results, for a generated page."""
    return table((paths.PUBLISHED,))


def _ours(row: Row, name: str, column: Column, stores: Sequence[paths.Store]) -> str:
    if name not in row.specs:
        return NOTHING
    result = result_of(row.specs[name], column, stores)
    if result is None:
        return NOT_RUN
    curve, own_steps = result.curves[column.curve], row.steps.get(name)
    places = (curve.grad_steps.index(step) for step in own_steps or column.steps)
    shown = " / ".join(_shown(curve.mean[i], curve.ci95[i]) for i in places)
    notes = [_seeds(result)]
    if own_steps:
        notes.append(f"after {' / '.join(map(str, own_steps))} steps")
    if alone := [seed[ONE_AT_A_TIME] for seed in result.settings.values() if ONE_AT_A_TIME in seed]:
        notes.append(f"{sum(alone) / len(alone):.3g} with one query at a time")
    return f"{shown} ({', '.join(notes)})"


def _shown(mean: float, ci95: float) -> str:
    """A mean over test tasks; on some of them the error may grow without bound."""
    if not math.isfinite(mean) or mean > DIVERGED:
        return "diverges"
    return f"{mean:.3g} ± {ci95:.2g}"


def _seeds(result: Result) -> str:
    return "1 seed" if len(result.seeds) == 1 else f"{len(result.seeds)} seeds"


def _published(row: Row, name: str) -> str:
    found = row.published.get(name)
    return NOTHING if found is None else f"{found.value} ({found.source})"


def _cost(row: Row, columns: dict[str, Column], costs: dict[str, dict[str, float]]) -> tuple[str, str]:
    """The cost of a meta-iteration relative to MAML's and the peak memory, on all tasks where they were measured."""
    measured = {
        column.title.partition(",")[0]: costs[row.specs[name]]
        for name, column in columns.items()
        if row.specs.get(name) in costs
    }
    if not measured:
        return NOT_RUN, NOT_RUN
    relative = ", ".join(f"{cost['relative']:.2f} ({tasks})" for tasks, cost in measured.items())
    return relative, ", ".join(f"{cost['mebibytes']:.0f} MiB ({tasks})" for tasks, cost in measured.items())


def figure(stores: Sequence[paths.Store]) -> "matplotlib.figure.Figure | None":
    """The sinusoid's error after each gradient step, K = 5; None where fewer than two methods have a result."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    methods = read_methods()
    column = methods.columns["sinusoid"]
    found = {
        row.title: result
        for row in methods.rows
        if "sinusoid" in row.specs and (result := result_of(row.specs["sinusoid"], column, stores)) is not None
    }
    if len(found) < 2:
        return None
    drawing, axis = plt.subplots(figsize=(8, 4.2))
    for index, (title, result) in enumerate(found.items()):
        curve = result.curves[column.curve]
        style = ("-", "--", ":")[index // 7]
        shown = [value if value < DIVERGED else math.nan for value in curve.mean[1:]]
        axis.plot(curve.grad_steps[1:], shown, style, color=f"C{index % 7}", label=textwrap.fill(title, 24))
    axis.set_xlabel("gradient steps")
    axis.set_ylabel("mean squared error, K = 5")
    axis.set_yscale("log")
    axis.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing
