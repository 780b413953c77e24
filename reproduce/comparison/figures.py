"""The paper's figures, drawn from measured curves and predictions."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.figure
import matplotlib.pyplot as plt

from maml_tf._io import atomic_write
from maml_tf.experiments.results import Curve

# Each method has the same colour in every figure.
COLOURS = {"maml": "#1b7837", "pretrained": "#2166ac", "oracle": "#7f7f7f"}
LABELS = {"maml": "MAML", "pretrained": "pretrained", "oracle": "oracle"}
DIVERGED = 100.0
STYLES = {0: ":", 1: "--", 10: "-"}


def save(figure: matplotlib.figure.Figure, path: pathlib.Path) -> None:
    """Writes a figure as PNG and closes it. The file is complete or not there."""
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=130, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def learning_curves(
    panels: Mapping[int, Mapping[str, Curve]], paper_points: Sequence[tuple[int, str, int, float]] = ()
) -> matplotlib.figure.Figure:
    """Figures 3 and 6: error after each gradient step, a panel for each K.

    Args:
        panels: {K: {method: Curve}}.
        paper_points: (K, method, step, value) of the paper's known points, drawn as crosses.

    Returns:
        A matplotlib figure.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(1.5 + 3.5 * len(panels), 3.6), sharey=True, squeeze=False)
    for axis, (K, curves) in zip(axes[0], panels.items(), strict=True):
        for method, curve in curves.items():
            colour = COLOURS[method]
            for values in curve.per_seed:
                axis.plot(curve.grad_steps, values, color=colour, linewidth=0.7, alpha=0.5)
            axis.plot(curve.grad_steps, curve.mean, color=colour, linewidth=2, label=LABELS[method])
            # There is no band where the error diverges.
            known = [p for p in zip(curve.grad_steps, curve.mean, curve.ci95, strict=True) if p[1] + p[2] < DIVERGED]
            steps, low, high = zip(*((step, mean - ci95, mean + ci95) for step, mean, ci95 in known), strict=True)
            axis.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        for method, points in _by_method(paper_points, K).items():
            axis.plot(
                *zip(*points, strict=True), "x", color=COLOURS[method], markersize=8, label=f"paper, {LABELS[method]}"
            )
        axis.set_title(f"K = {K}")
        axis.set_xlabel("gradient steps")
        axis.set_xlim(0, max(curves["maml"].grad_steps))
        axis.set_ylim(-0.1, 3.6)
        axis.grid(alpha=0.25)
    axes[0][0].set_ylabel("mean squared error")
    shown = {label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.02)}
    figure.legend(shown.values(), shown.keys(), frameon=False, fontsize=8, ncols=len(shown), **place)
    return figure


def _by_method(points, K):
    grouped = {}
    for shots, method, step, value in points:
        if shots == K and math.isfinite(value):
            grouped.setdefault(method, []).append((step, value))
    return grouped


def adaptation(rows: Sequence[Mapping[str, Any]]) -> matplotlib.figure.Figure:
    """Figures 2 and 7: functions before and after adaptation, MAML left, pretrained right.

    Args:
        rows: list of {"title": str, "x": [n], "truth": [n], "support": (x, y), "predictions": {method: {step: [n]}},
            "step_sizes": {method: alpha}}.

    Returns:
        A matplotlib figure.
    """
    methods = ("maml", "pretrained")
    figure, axes = plt.subplots(len(rows), 2, figsize=(9, 2.5 * len(rows)), sharex=True, squeeze=False)
    for row, pair in zip(rows, axes, strict=True):
        pair[0].set_ylabel("y")
        for method, axis in zip(methods, pair, strict=True):
            axis.plot(row["x"], row["truth"], color="#b2182b", linewidth=1.5, label="ground truth")
            for step, values in row["predictions"][method].items():
                label = "before adapting" if step == 0 else f"{step} gradient step{'s' if step > 1 else ''}"
                axis.plot(row["x"], values, STYLES[step], color=COLOURS[method], linewidth=1.4, label=label)
            axis.plot(*row["support"], "^", color="#762a83", markersize=7, label="the K points")
            axis.set_title(f"{LABELS[method]}, {row['title']}, step size {row['step_sizes'][method]:g}", fontsize=9)
            drawn = [row["truth"], *(values for steps in row["predictions"].values() for values in steps.values())]
            bound = 1.15 * max(abs(values).max() for values in drawn)
            axis.set_ylim(-bound, bound)
            axis.set_xlim(row["x"][0], row["x"][-1])
    for column, axis in enumerate(axes[-1]):
        axis.set_xlabel("x")
        handles, labels = axis.get_legend_handles_labels()
        place = {"loc": "upper center", "bbox_to_anchor": (0.26 + 0.49 * column, 0.0)}
        figure.legend(handles, labels, frameon=False, fontsize=8, ncols=3, **place)
    figure.tight_layout()
    return figure
