"""The tables of a panel's numbers."""

from types import SimpleNamespace

from maml_tf.evaluation.intervals import wilson_interval_95
from maml_tf.experiments.results import TargetValue
from reproduce.comparison.pages.markdown import of_each_seed, shown_seeds
from reproduce.comparison.pages.numbers import wilson


def test_accuracies_in_percent_have_wilsons_interval_and_other_metrics_none():
    ours = TargetValue(mean=99.5, ci95=0.25, n_tasks=600, per_seed=(99.5,))
    low, high = wilson_interval_95(0.995, 0.0025, 600)
    assert wilson(SimpleNamespace(metric="accuracy_percent"), ours) == f"{100 * low:.2f} to {100 * high:.2f}"
    assert 99.0 < 100 * low < 99.25 < 99.6 < 100 * high < 99.75
    assert wilson(SimpleNamespace(metric="mse"), ours) == ""


def test_few_seeds_are_listed_and_many_are_summed_up():
    assert of_each_seed([98.54, 98.9]) == "98.54, 98.90"
    assert of_each_seed([-70.0, -101.25, -54.75, -60.0, -80.0, -90.0]) == "-101.2 to -54.75 (6 seeds)"
    assert "diverged" in of_each_seed([1.0, 2.0, 3.0, 4.0, 5.0, float("inf")]), "no range hides a divergence"
    assert shown_seeds([1, 2, 3]) == "1, 2, 3"
    assert shown_seeds([*range(1, 11)]) == "1 to 10"
    assert shown_seeds([1, 2, 3, 4, 5, 7]) == "1, 2, 3, 4, 5, 7"
