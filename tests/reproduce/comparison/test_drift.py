"""A run of yours is the published one again, within the scatter of its seeds, or the gate fails."""

import dataclasses
import math

import pytest
from made_results import MAML, compare, known_failure, result

from maml_tf.experiments.results import Curve, read_result
from reproduce import paths
from reproduce.comparison.drift import drifts
from reproduce.comparison.gate import gate

PUBLISHED = read_result(paths.PUBLISHED.results / "sinusoid_maml.json")


def again(result, scale):
    """A result whose curves are the published ones times `scale`, a number or a function of the row of a seed."""
    scaled = scale if callable(scale) else lambda row: tuple(value * scale for value in row)

    def curve(old):
        rows = tuple(map(scaled, old.per_seed))
        return Curve(old.grad_steps, tuple(sum(c) / len(rows) for c in zip(*rows, strict=True)), old.ci95, rows)

    return dataclasses.replace(result, curves={name: curve(old) for name, old in result.curves.items()})


def judged(own, spec="sinusoid_maml"):
    return drifts({spec: PUBLISHED}, {spec: own})


def test_the_published_run_is_no_drift_of_itself_and_neither_is_one_within_the_scatter():
    assert judged(PUBLISHED) == []
    assert judged(again(PUBLISHED, lambda row: tuple(value * 1.02 for value in row))) == []


def test_the_inner_step_of_the_authors_code_is_told_from_the_papers():
    """Each number of the tenfold smaller step is within the tolerance around the paper's."""
    smaller = read_result(paths.PUBLISHED.results / "sinusoid_maml_alpha_0.001.json")
    own = dataclasses.replace(smaller, spec="sinusoid_maml")
    messages = judged(own)
    assert [message for message in messages if message.startswith("sinusoid_maml: 20_shot: after ")]
    assert all(message.endswith(": a drift") for message in messages)


@pytest.mark.parametrize("scale", [3.0, 0.3, 100.0])
def test_a_large_change_is_a_drift_or_a_breakdown(scale):
    assert judged(again(PUBLISHED, scale))


def test_one_diverged_seed_is_no_drift_but_many_diverged_tasks_are():
    rows = iter(range(1000))

    def diverged(row):
        return (row[0], *[math.inf] * (len(row) - 1)) if next(rows) % 3 == 0 else row

    own = again(PUBLISHED, diverged)
    settings = {key: dict(values) for key, values in own.settings.items()}
    for name in ("5_shot", "10_shot", "20_shot"):
        settings["seed_1"][f"diverged_{name}"] = 1
    few = dataclasses.replace(own, settings=settings)
    curves = {name: curve for name, curve in few.curves.items() if "shot" in name}
    few = dataclasses.replace(few, curves=PUBLISHED.curves | curves)
    assert judged(few) == []
    settings["seed_1"]["diverged_5_shot"] = 300
    assert judged(few) == ["sinusoid_maml: 5_shot: seed 1: 300 of 600 tasks have diverged: a breakdown"]


def test_every_seed_diverged_is_a_breakdown_even_of_a_known_failure():
    broken = again(PUBLISHED, lambda row: tuple(100 * value for value in row))
    settings = {seed: {} for seed in broken.settings}
    messages = judged(dataclasses.replace(broken, settings=settings))
    assert "sinusoid_maml: 5_shot: every seed has diverged: a breakdown" in messages
    own = dataclasses.replace(result({MAML: 9.0}), curves=broken.curves, seeds=broken.seeds, settings=settings)
    published = dataclasses.replace(result({MAML: 9.0}), curves=PUBLISHED.curves, seeds=PUBLISHED.seeds)
    code, told = gate(compare(published, yours=[own], known=[known_failure(flaky=True)]))
    assert code == 1
    assert any("a breakdown" in message for message in told)


def test_partial_and_other_results_are_not_compared():
    assert judged(dataclasses.replace(again(PUBLISHED, 3.0), profile="cpu")) == []
    assert drifts({}, {"sinusoid_maml": PUBLISHED}) == []
    missing = dataclasses.replace(PUBLISHED, curves={})
    assert "sinusoid_maml: 5_shot: not in yours" in judged(missing)
    shorter = Curve((0, 1), (3.0, 1.0), (0.1, 0.1), ((3.0, 1.0),) * 3)
    assert "5_shot: steps [0, 1], published" in judged(dataclasses.replace(PUBLISHED, curves={"5_shot": shorter}))[0]
