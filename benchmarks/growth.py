"""How time and peak memory of our meta-gradient grow with each size of the problem."""

import pathlib
import statistics
from typing import Any

from benchmarks.workloads import Workload

# One size varies at a time, the others are as in GROWTH_BASE. All are small enough to be measured in minutes.
GROWTH_BASE = {"tasks": 2, "shots": 1, "steps": 1, "image_side": 42}
GROWTH = {"tasks": (1, 2, 4, 8), "shots": (1, 5, 10), "steps": (1, 2, 5, 10), "image_side": (21, 42, 84)}
AXES = {"tasks": "tasks", "shots": "shots K", "steps": "inner steps", "image_side": "image side in pixels"}


def growth_workloads() -> dict[tuple[str, int], Workload]:
    """{(size, value): Workload} with the mini-ImageNet network, one size changed at a time."""
    return {
        (size, value): Workload(
            f"growth_{size}_{value}", "miniimagenet_5way_1shot_maml", rounds=3, **(GROWTH_BASE | {size: value})
        )
        for size, values in GROWTH.items()
        for value in values
    }


def draw_growth(growth: dict[str, Any], path: pathlib.Path) -> None:
    """Draws time and peak memory against each size, both axes from zero.

    Args:
        growth: the content of growth.json.
        path: of the picture.
    """
    import matplotlib.pyplot as plt

    from reproduce.comparison.figures import save

    figure, axes = plt.subplots(2, len(AXES), figsize=(2.9 * len(AXES), 5.2), sharey="row", squeeze=False)
    for column, (size, label) in zip(axes.T, AXES.items(), strict=True):
        points = growth["points"][size]
        values = [point["value"] for point in points]
        time, memory = column
        time.plot(values, [statistics.median(point["cpu_seconds"]) for point in points], "o-")
        memory.plot(values, [(point["peak_bytes"] - point["imported_bytes"]) / 1e9 for point in points], "o-")
        memory.set_xlabel(label)
        for axis in column:
            axis.set_xticks(values)
            axis.grid(alpha=0.25)
    for row in axes:  # after all is drawn: the axes of a row share their limits, which are fixed when they are set
        row[0].set_ylim(bottom=0)
    axes[0][0].set_ylabel("processor time of one\nmeta-gradient (s)")
    axes[1][0].set_ylabel("peak memory beyond\nthe imports (GB)")
    figure.tight_layout()
    save(figure, path)
