"""Statistics that a few tasks do not decide: interquartile means, medians, and how often an adaptation diverges."""

import pathlib

import numpy as np

from maml_tf.evaluation.robust import bootstrap_interval_95, interquartile_mean
from reproduce.comparison.pages.markdown import measured, table
from reproduce.comparison.pages.panels import name_of
from reproduce.comparison.pages.record import Record

SINUSOID = ("sinusoid_maml", "sinusoid_pretrained", "sinusoid_oracle", "sinusoid_maml_alpha_0.001")
SINUSOID_STEPS = (1, 5, 10)


def interquartile_returns(record: Record, page: pathlib.Path) -> str:
    """The mean and the interquartile mean of every return whose tasks both sides publish."""
    rows = []
    for row in record.comparison.rows:
        target, theirs = row.target, record.comparison.authors.of(row.target)
        kept = (row.result.task_scores or {}).get("return") if row.result is not None else None
        if theirs is None or kept is None or target.duplicate_of is not None or not target.gated:
            continue
        steps = row.result.curves["return"].grad_steps
        ours = np.asarray(kept)[:, :, steps.index(target.grad_step or 0)]
        strata = record.comparison.authors.directions(target.experiment)
        name, step = name_of(target), "" if target.grad_step is None else str(target.grad_step)
        means = measured(float(theirs.mean())), measured(float(ours.mean()))
        rows.append([name, step, *means, _with_interval(theirs[np.newaxis], strata), _with_interval(ours, strata)])
    headers = ["what", "steps", "mean, paper", "mean, ours", "interquartile mean, paper", "interquartile mean, ours"]
    return table(headers, rows)


def robust_errors(record: Record, page: pathlib.Path) -> str:
    """Median, interquartile mean and share of diverged functions of the sinusoid's arms."""
    rows = []
    for spec in SINUSOID:
        result = record.results.get(spec)
        for curve, found in ((result.robust or {}) if result is not None else {}).items():
            if not curve.endswith("_shot"):
                continue
            mean = result.curves[curve].mean
            for step in SINUSOID_STEPS:
                iqm = _interval(found.iqm[step], found.iqm_low[step], found.iqm_high[step])
                share = f"{found.diverged[step]:.2%}"
                what = [spec, curve.removesuffix("_shot"), str(step), measured(mean[step])]
                rows.append([*what, measured(found.median[step]), iqm, share])
    return table(["spec", "K", "steps", "mean", "median", "interquartile mean", "diverged"], rows)


def _with_interval(scores: np.ndarray, strata: np.ndarray | None) -> str:
    return _interval(float(interquartile_mean(scores.ravel())), *bootstrap_interval_95(scores, strata))


def _interval(mean: float, low: float, high: float) -> str:
    return f"{measured(mean)} [{measured(low, digits=3)}, {measured(high, digits=3)}]"
