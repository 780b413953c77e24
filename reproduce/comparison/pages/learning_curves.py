"""Training loss and validation score by iteration, from the `history` that result files keep."""

import hashlib
import json
import pathlib
from typing import TYPE_CHECKING

from maml_tf._io import atomic_write
from maml_tf.experiments.results import Result
from reproduce.comparison.pages.markdown import duration, link_between, machine, number, shown_seeds, table
from reproduce.comparison.pages.record import Record
from reproduce.comparison.pages.runs import link_to

if TYPE_CHECKING:
    import matplotlib.figure

FOLDER = pathlib.PurePath("docs", "learning_curves")
CLASSIFIERS = ("omniglot_", "miniimagenet_")


def learning_curves(record: Record, page: pathlib.Path) -> str:
    """A table of the classification cells, then a picture for each result that has a history."""
    rows = []
    for result in record.results.values():
        if result.spec.startswith(CLASSIFIERS):
            rows += [_row(record, page, result, seed) for seed in result.seeds]
    headers = ["result file", "seed", "iterations", "best validation accuracy", "at iteration", "training time"]
    parts = [table([*headers, "curves"], rows)]
    for result in record.results.values():
        if result.history:
            picture = link_between(page, record.root / FOLDER / f"{result.spec}.svg")
            parts += [f"## {result.spec}", f"![Learning curves of {result.spec}]({picture})"]
            of_seeds = f"seeds {shown_seeds(result.seeds)}"
            parts.append(f"*{result.iterations_done} iterations; {of_seeds}; {machine(result.hardware)}.*")
    return "\n\n".join(parts)


def pictures(record: Record) -> dict[pathlib.Path, Result]:
    """The pictures that should exist, each with its result."""
    return {record.root / FOLDER / f"{result.spec}.svg": result for result in record.results.values() if result.history}


def is_newest(path: pathlib.Path, result: Result) -> bool:
    """Whether a picture was drawn from this history: it carries a checksum of it."""
    return path.exists() and _checksum(result) in path.read_text(encoding="utf-8")


def draw(path: pathlib.Path, result: Result) -> None:
    """Draws the learning curves of a result into an SVG file that carries a checksum of its history."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": result.spec, "svg.fonttype": "none", "font.size": 9}):
        figure = learning_curve_figure(result)
        with atomic_write(path) as file:
            figure.savefig(file, format="svg", metadata={"Date": None, "Description": _checksum(result)})


def learning_curve_figure(result: Result) -> "matplotlib.figure.Figure":
    """A panel with the losses of every seed and one with the validation scores, where there are some.

    A policy's loss is a surrogate around its own samples, which says nothing of its returns; it gets no panel.
    """
    from matplotlib.figure import Figure

    shown = [] if "return" in result.curves else ["losses"]
    if any(curves["validations"] for curves in result.history.values()):
        shown.append("validations")
    figure = Figure(figsize=(4.5 * len(shown), 3))
    axes = figure.subplots(1, len(shown), squeeze=False)
    for axis, kind in zip(axes[0], shown, strict=True):
        for seed, curves in result.history.items():
            if curves[kind]:
                axis.plot(*zip(*curves[kind], strict=True), linewidth=1.2, label=seed.replace("_", " "))
        axis.set_xlabel("meta-iteration")
        axis.set_ylabel("meta-loss" if kind == "losses" else _score_of(result))
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    figure.tight_layout()
    return figure


def _row(record, page, result, seed):
    settings = result.settings.get(f"seed_{seed}", {})
    best = settings.get("best_validation_accuracy")
    return [
        link_to(record, page, result),
        str(seed),
        f"{result.iterations_done} of {result.iterations_asked}",
        "—" if best is None else f"{number(best)} %",
        str(settings.get("best_iteration", "—")),
        duration(settings.get("training_seconds", 0.0)),
        f"[below](#{result.spec.replace('.', '')})" if result.history else "not kept",
    ]


def _score_of(result):
    classifier = result.spec.startswith(CLASSIFIERS)
    return "validation accuracy in percent" if classifier else "return after adapting, in training"


def _checksum(result):
    return hashlib.sha256(json.dumps(result.history, sort_keys=True).encode()).hexdigest()
