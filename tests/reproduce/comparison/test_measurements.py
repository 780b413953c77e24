"""Measured values by target: each has one value, duplicates share it, the closed gap is derived from our own arms."""

import dataclasses

import pytest
from made_results import CONV, MAML, compare, result, row

from maml_tf.errors import UsageError
from reproduce.comparison import verdicts as v

TASK = "rl_2d_navigation"


def arms(step0=-40.0, step1=-16.0, oracle=-8.0):
    return result({f"{TASK}_maml_step0": step0, f"{TASK}_maml_step1": step1, f"{TASK}_oracle": oracle}, spec="point")


def test_a_duplicate_takes_the_value_of_the_other():
    assert row(compare(result({CONV: 98.0}, spec="cell")), "omniglot_5way_1shot_maml_table3").ours.mean == 98.0


def test_a_target_has_one_value():
    cpu = result({MAML: 0.5}, spec="another", profile="cpu")
    assert row(compare(cpu, result({MAML: 0.6})), MAML).ours.mean == 0.6
    with pytest.raises(UsageError, match=f"results of sinusoid_maml and another: both give a value for '{MAML}'"):
        compare(result({MAML: 0.6}), result({MAML: 0.5}, spec="another"))


def test_a_result_for_an_unknown_target_is_an_error():
    with pytest.raises(UsageError, match=r"'nothing' is no id of targets.yaml"):
        compare(result({"nothing": 1.0}))


def test_the_closed_gap_is_derived_from_our_own_arms():
    gap = row(compare(arms()), f"{TASK}_gap_closed_step1")
    assert gap.ours.mean == pytest.approx(24 / 32)
    assert (gap.verdict, gap.detail) == (v.PASS, "2 of 2 seeds inside")
    assert row(compare(arms()), f"{TASK}_gap_closed_step2").verdict == v.NOT_RUN
    partial = compare(dataclasses.replace(arms(), profile="cpu", iterations_done=10))
    assert row(partial, f"{TASK}_gap_closed_step1").verdict == v.PARTIAL
    level = compare(arms(-8.0, -8.0, -8.0))
    assert row(level, f"{TASK}_gap_closed_step1").verdict == v.MISS
    with pytest.raises(UsageError, match="gap_closed_step1' is always derived from other targets"):
        compare(result({f"{TASK}_gap_closed_step1": 0.9}))


def test_the_closed_gap_needs_the_same_seeds_before_and_after():
    oracle = result({f"{TASK}_oracle": -8.0}, spec="oracle")
    before, after = (result({f"{TASK}_maml_step{s}": -40.0}, spec=f"step{s}") for s in (0, 1))
    with pytest.raises(UsageError, match=r"results of step1 and step0: seeds: \[1, 3\] and \[1, 2\]; the share"):
        compare(before, dataclasses.replace(after, seeds=(1, 3)), oracle)


def test_yours_closes_the_gap_to_the_published_oracle():
    yours = result({f"{TASK}_maml_step0": -40.0, f"{TASK}_maml_step1": -24.0}, spec="point_navigation_maml")
    gap = row(compare(arms(), yours=[yours]), f"{TASK}_gap_closed_step1")
    assert gap.published.value.mean == pytest.approx(24 / 32)
    assert gap.yours.value.mean == pytest.approx(16 / 32)
    unrelated = compare(arms(), yours=[result({MAML: 0.6})])
    assert row(unrelated, f"{TASK}_gap_closed_step1").yours is None
