"""The reinforcement-learning figures: returns while policies adapt (Figures 4 and 5), and their paths (Figure 4)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np

from maml_tf.experiments.results import Curve
from reproduce.comparison.figures import COLOURS, LABELS

COLOURS = {**COLOURS, "random": "#b35806", "context_vector": "#762a83"}
LABELS = {**LABELS, "random": "random", "context_vector": "context vector"}
# Results hold 95 % half widths. The bands in the paper, and so the ones drawn here, are 68 % intervals (PROTOCOL 3.6).
FROM_95_TO_68 = 0.9945 / 1.96
PATH_STYLES = {0: ("--", "before adapting"), 1: ("-.", "after 1 gradient step"), 3: ("-", "after 3 gradient steps")}


def returns(panels: Sequence[Mapping[str, Any]]) -> matplotlib.figure.Figure:
    """Figure 5: mean return after each gradient step, a panel for each family of environments.

    Args:
        panels: keyword arguments for `draw_returns`, each with a "title".

    Returns:
        A matplotlib figure.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(1.0 + 3.6 * len(panels), 3.6), squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        draw_returns(axis, **panel)
    axes[0][0].set_ylabel("return")
    _legend_below(figure, axes[0])
    figure.tight_layout()
    return figure


def navigation(
    panel: Mapping[str, Any], paths: Mapping[str, Mapping[int, np.ndarray]], goal: np.ndarray
) -> matplotlib.figure.Figure:
    """Figure 4: returns on 2D navigation, and the path of one trajectory before and after adaptation.

    Args:
        panel: keyword arguments for `draw_returns`, with a "title".
        paths: {method: {gradient steps: positions [n, 2]}}.
        goal: [2]

    Returns:
        A matplotlib figure.
    """
    figure, axes = plt.subplots(1, 1 + len(paths), figsize=(4.6 + 3.4 * len(paths), 3.6))
    draw_returns(axes[0], **panel)
    axes[0].set_ylabel("return")
    everything = np.concatenate([positions for steps in paths.values() for positions in steps.values()] + [[goal]])
    low, high = everything.min(axis=0), everything.max(axis=0)
    centre, half = (low + high) / 2, 0.55 * (high - low).max()
    for axis, (method, steps) in zip(axes[1:], paths.items(), strict=True):
        for step, positions in steps.items():
            style, label = PATH_STYLES[step]
            axis.plot(*positions.T, style, color=COLOURS[method], linewidth=1.5 if step else 1.0, label=label)
        axis.plot(0, 0, "o", color="black", markersize=5, label="start")
        axis.plot(*goal, "*", color="#b2182b", markersize=13, label="goal")
        axis.set_title(LABELS[method])
        axis.set_xlim(centre[0] - half, centre[0] + half)
        axis.set_ylim(centre[1] - half, centre[1] + half)
        axis.set_aspect("equal")
        axis.set_xlabel("x")
        axis.set_ylabel("y")
        axis.legend(frameon=False, fontsize=7)
    _legend_below(figure, axes[:1])
    figure.tight_layout()
    return figure


def draw_returns(
    axis: matplotlib.axes.Axes,
    title: str,
    curves: Mapping[str, Curve],
    paper: Mapping[str, Mapping[int, float]],
    extra: Mapping[str, tuple[str, Curve]] | None = None,
) -> None:
    """Draws returns after each gradient step: ours with 68 % bands over the goals, the paper's dashed with crosses.

    Args:
        axis: matplotlib axes.
        title: of the panel.
        curves: {method: Curve}; a curve of one point (the oracle's) is drawn as a flat line.
        paper: {method: {gradient steps: value}}; one value is drawn as a flat line.
        extra: {label: (method, Curve)}, drawn dotted.
    """
    last = max(max(curve.grad_steps) for curve in curves.values())
    for method, curve in curves.items():
        steps, mean, band = _flat(curve.grad_steps, last), np.array(curve.mean), FROM_95_TO_68 * np.array(curve.ci95)
        mean, band = np.broadcast_to(mean, len(steps)), np.broadcast_to(band, len(steps))
        axis.plot(steps, mean, color=COLOURS[method], linewidth=2, label=LABELS[method])
        axis.fill_between(steps, mean - band, mean + band, color=COLOURS[method], alpha=0.18, linewidth=0)
    for method, points in paper.items():
        steps = _flat(list(points), last)
        values = np.broadcast_to(list(points.values()), len(steps))
        marker = "x" if len(points) > 1 else ""
        axis.plot(steps, values, f"--{marker}", color=COLOURS[method], linewidth=1, markersize=6)
    for label, (method, curve) in (extra or {}).items():
        axis.plot(curve.grad_steps, curve.mean, ":", color=COLOURS[method], linewidth=2, label=label)
    axis.plot([], [], "--x", color="black", linewidth=1, markersize=6, label="the paper's")
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("gradient steps")
    axis.set_xticks(range(last + 1))
    axis.set_xlim(0, last)
    axis.grid(alpha=0.25)


def _flat(steps, last):
    """The steps; if there is only one, a line from 0 to the last step."""
    return list(steps) if len(steps) > 1 else [0, last]


def _legend_below(figure, axes):
    shown = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    paper = shown.pop("the paper's")  # comes last
    handles, labels = [*shown.values(), paper], [*shown, "the paper's"]
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0)}
    figure.legend(handles, labels, frameon=False, fontsize=8, ncols=min(len(labels), 8), **place)
