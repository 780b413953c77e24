"""Tables of measurements that train nothing: ablations at test, precision, the time that first order saves."""

import pathlib

from reproduce.comparison.pages.markdown import duration, machine, measured, number, table
from reproduce.comparison.pages.record import Record
from reproduce.comparison.pages.runs import link_to

ABLATIONS = {
    "protocol": "the protocol: one query image per class, batch norm by the batch's own statistics",
    "tasks_6000": "the same on 6000 tasks",
    "queries_5": "five query images per class",
    "queries_15": "fifteen query images per class",
    "statistics_of_the_support_set": "query images normalised by the support set's statistics",
    "running_statistics": "by running statistics, as Keras' `BatchNormalization` does outside of training",
    "mean_inner_loss": "inner steps on the mean of the cross-entropies: a fifth of the step",
}
PRECISIONS = {
    "float32": "float32",
    "tensor_float_32": "ten bits (`tensor_float_32`)",
    "bfloat16": "`bfloat16`",
}
PRECISION_CELLS = {
    "omniglot_5way_1shot": ("Omniglot 5-way 1-shot, 1 step", 3),
    "omniglot_20way_1shot": ("Omniglot 20-way 1-shot, 5 large steps", 5),
    "miniimagenet_1shot": ("mini-ImageNet 5-way 1-shot, 5 steps (10 at test)", 10),
}


def ablations(record: Record, page: pathlib.Path) -> str:
    """What a mini-ImageNet number depends on at test: after one and after ten gradient steps."""
    curves = record.results["ablations_miniimagenet"].curves
    rows = [
        [what, *(measured(curves[name].mean[step], curves[name].ci95[step], 3) for step in (1, 10))]
        for name, what in ABLATIONS.items()
    ]
    return table(["", "after 1 step", "after 10 steps"], rows) + origin(record, page, "ablations_miniimagenet")


def precision(record: Record, page: pathlib.Path) -> str:
    """The error of the meta-gradient and the test accuracy in each precision."""
    result = record.results["precision"]
    rows = []
    for cell, (title, step) in PRECISION_CELLS.items():
        shown = []
        for name in PRECISIONS:
            error = 100 * result.settings[cell][f"meta_gradient_off_{name}"]
            shown.append(f"{number(error, 2)} %; {measured(result.curves[f'{cell}_{name}'].mean[step])}")
        rows.append([title, *shown])
    return table(["", *PRECISIONS.values()], rows) + origin(record, page, "precision")


def first_order_gain(record: Record, page: pathlib.Path) -> str:
    """The time of a mini-ImageNet meta-iteration in second and first order."""
    rows = [
        [
            f"mini-ImageNet 5-way {name.replace('_', '-')}",
            f"{entry['second_order_seconds']:.2f} s",
            f"{entry['first_order_seconds']:.2f} s",
            f"{100 * entry['saved']:.0f} %",
        ]
        for name, entry in record.results["first_order_gain"].settings.items()
    ]
    headers = ["meta-iteration", "second order", "first order", "saved"]
    return table(headers, rows) + origin(record, page, "first_order_gain")


def origin(record: Record, page: pathlib.Path, spec: str) -> str:
    """A line below a table: the result file, where and when it was measured."""
    result = record.results[spec]
    shown = f"{machine(result.hardware)}, {duration(result.wall_seconds)}, commit {result.git_commit[:7]}"
    return f"\n\n{link_to(record, page, result)}: {shown}."
