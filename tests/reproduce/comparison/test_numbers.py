"""The tables of a panel's numbers."""

from types import SimpleNamespace

from maml_tf.evaluation.intervals import wilson_interval_95
from maml_tf.experiments.results import TargetValue
from reproduce.comparison.pages.numbers import wilson


def test_accuracies_in_percent_have_wilsons_interval_and_other_metrics_none():
    ours = TargetValue(mean=99.5, ci95=0.25, n_tasks=600, per_seed=(99.5,))
    low, high = wilson_interval_95(0.995, 0.0025, 600)
    assert wilson(SimpleNamespace(metric="accuracy_percent"), ours) == f"{100 * low:.2f} to {100 * high:.2f}"
    assert 99.0 < 100 * low < 99.25 < 99.6 < 100 * high < 99.75
    assert wilson(SimpleNamespace(metric="mse"), ours) == ""
