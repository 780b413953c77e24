"""Results made up for the tests of the comparison."""

import dataclasses
import pathlib

from maml_tf.experiments.results import Curve, Result, TargetValue
from reproduce.comparison import verdicts
from reproduce.comparison.targets import read_targets
from reproduce.paths import TARGETS as TARGETS_FILE

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGETS = read_targets(TARGETS_FILE)
BY_ID = {target.id: target for target in TARGETS.entries}
MAML = "sinusoid_5shot_maml_step1"  # 0.67, relative tolerance 0.3, lower is better, better passes
PRETRAINED = "sinusoid_5shot_pretrained_step1"  # 2.41, relative tolerance 0.2, two-sided
CONV = "omniglot_5way_1shot_conv_maml"  # 98.7, absolute tolerance 1.0, higher is better, better passes


def result(targets, spec="sinusoid_maml", profile="paper", iterations_done=70000, curves=None, settings=None):
    """A Result of two seeds with these means of targets {id: mean}, by default of a finished training."""
    values = {
        id_: TargetValue(mean=mean, ci95=0.01, n_tasks=600, per_seed=(mean, mean)) for id_, mean in targets.items()
    }
    return Result(
        spec=spec,
        profile=profile,
        seeds=(1, 2),
        iterations_done=iterations_done,
        iterations_asked=70000,
        targets=values,
        curves=curves or {},
        settings=settings or {"seed_1": {"step_size": 0.01}},
        data={},
        spec_hash="0123456789",
        git_commit="abc",
        packages={"numpy": "2"},
        hardware="a computer",
        wall_seconds=1.5,
        command="make",
        weights={},
    )


def half_way(targets, spec="omniglot_5way_1shot_conv", **changes):
    """A Result of the half-way mark, its model chosen by validation."""
    chosen = {f"seed_{seed}": {"best_validation_accuracy": 98.0} for seed in (1, 2)}
    half = result(targets, spec, "half", iterations_done=35000, settings=chosen)
    return dataclasses.replace(half, **changes)


def curve(*values):
    """A Curve of two equal seeds."""
    return Curve(tuple(range(len(values))), values, tuple(abs(value) for value in values), (values, values))


def compare(*published, yours=(), known=()):
    """The Comparison of some results."""
    of_spec = ({each.spec: each for each in results} for results in (published, yours))
    return verdicts.compare(TARGETS, *of_spec, known)


def row(comparison, id_):
    """The row of a target or claim."""
    return next(r for r in comparison.all_rows if r.target.id == id_)


def known_failure(id_=MAML, *, flaky=False):
    """A KnownFailure."""
    return verdicts.KnownFailure(id_, "divergence", "one diverges", "all", "2026-11-20", flaky)
