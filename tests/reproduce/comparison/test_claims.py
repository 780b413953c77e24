"""Claims: each is judged by its rule, from complete results; one broken part breaks a claim of many."""

import dataclasses
import math

import pytest
from made_results import MAML, TARGETS, compare, curve, result, row

from maml_tf.errors import UsageError
from reproduce.comparison import verdicts as v
from reproduce.comparison.claims import CLAIMS, LOCOMOTION

FALLING = {f"{K}_shot": curve(*[(3 - 0.2 * s) / K for s in range(11)]) for K in (5, 10, 20)}
RISING = FALLING | {"10_shot": curve(*[0.1 + 0.01 * s for s in range(11)])}


def test_every_claim_has_a_rule():
    assert {claim.id for claim in TARGETS.claims} == set(CLAIMS)
    claims = (dataclasses.replace(TARGETS.claims[0], id="nothing"),)
    with pytest.raises(UsageError, match="claim 'nothing': there is no rule to judge it; there are rules for paper_"):
        v.compare(dataclasses.replace(TARGETS, claims=claims), {})


def test_claims_of_the_sinusoid():
    good = compare(result({MAML: 0.6}, curves=FALLING))
    assert row(good, "sinusoid_keeps_improving").verdict == v.PASS
    assert row(good, "sinusoid_more_shots_help").verdict == v.PASS
    bad = row(compare(result({MAML: 0.6}, curves=RISING)), "sinusoid_keeps_improving")
    assert bad.verdict == v.MISS
    assert "K = 10: 0.11 > 0.15 > 0.2" in bad.detail
    partial = compare(result({MAML: 0.6}, curves=RISING, profile="cpu"))
    assert row(partial, "sinusoid_keeps_improving").verdict == v.NOT_RUN


def test_a_missing_curve_is_not_run():
    curves = {name: values for name, values in FALLING.items() if name != "20_shot"}
    judged = row(compare(result({MAML: 0.6}, curves=curves)), "sinusoid_keeps_improving")
    assert (judged.verdict, judged.detail) == (v.NOT_RUN, "not run: sinusoid_maml 20_shot")


def test_a_diverged_curve_is_below_nothing():
    low, high = ({f"{K}_shot": curve(*[value] * 10, math.inf) for K in (5, 10, 20)} for value in (1.0, 2.0))
    judged = compare(result({}, curves=low), result({}, spec="sinusoid_pretrained", curves=high))
    assert row(judged, "sinusoid_maml_below_pretrained").verdict == v.MISS
    judged = compare(result({}, curves=high), result({}, spec="sinusoid_oracle", curves=low))
    assert row(judged, "sinusoid_oracle_lowest").verdict == v.MISS


def test_the_other_half_needs_less_error_than_pretraining_and_than_predicting_zero():
    def judged(maml, pretrained, zero):
        curves = {"10_shot_other_half": curve(5.0, pretrained), "zero_predictor": curve(zero)}
        arms = (
            result({}, curves={"10_shot_other_half": curve(5.0, maml)}),
            result({}, "sinusoid_pretrained", curves=curves),
        )
        return row(compare(*arms), "sinusoid_other_half").verdict

    assert judged(0.7, 4.2, 4.3) == v.PASS
    assert judged(4.2, 4.0, 4.3) == v.MISS
    assert judged(4.2, 4.4, 4.1) == v.MISS


@pytest.mark.parametrize(("first_order", "verdict"), [(46.8, v.PASS), (50.6, v.PASS), (46.6, v.MISS), (50.8, v.MISS)])
def test_first_order_is_close_within_two_points(first_order, verdict):
    second = {f"miniimagenet_5way_{shots}shot_maml": 48.7 for shots in (1, 5)}
    first = {f"{id_}_first_order": first_order for id_ in second}
    assert row(compare(result(second | first)), "first_order_close").verdict == verdict


def test_a_claim_of_many_parts_is_broken_by_one():
    """pretrain_worse_than_random: two tasks, three steps each."""
    task = "rl_half_cheetah_forward_backward"

    def judged(pretrained, *tasks):
        values = {}
        for each in tasks:
            for step in (1, 2, 3):
                values |= {f"{each}_random_step{step}": 10.0, f"{each}_pretrained_step{step}": pretrained[step - 1]}
        return row(compare(result(values, spec="rl")), "pretrain_worse_than_random")

    assert judged([1.0, 2.0, 3.0], task, "rl_ant_forward_backward").verdict == v.PASS
    missing = judged([1.0, 2.0, 3.0], task)
    assert missing.verdict == v.NOT_RUN
    assert missing.detail.startswith("not run: ant forward backward, step 1, ant forward backward, step 2")
    assert "holds: half cheetah forward backward, step 1 (pretrained 1, random 10)" in missing.detail
    broken = judged([1.0, 12.0, 3.0], task)
    assert broken.verdict == v.MISS
    assert broken.detail.startswith("broken: half cheetah forward backward, step 2 (pretrained 12, random 10); holds")
    assert broken.detail.endswith(
        "not run: ant forward backward, step 1, ant forward backward, step 2, ant forward backward, step 3"
    )


def after_steps(arms, steps):
    return {f"{arm}_step{step}": value for arm, value in arms.items() for step in steps}


@pytest.mark.parametrize(
    ("claim", "values", "changed"),
    [
        (
            "order_locomotion",
            {
                f"{task}_{arm}": value
                for task in LOCOMOTION
                for arm, value in (
                    {"oracle": 9.0} | after_steps({"maml": 8.0, "pretrained": 1.0, "random": 2.0}, (1, 2, 3))
                ).items()
            },
            ("rl_ant_goal_velocity_maml_step3", 9.5),
        ),
        (
            "context_below_maml",
            {
                f"omniglot_5way_{K}shot_{arm}": v
                for K in (1, 5)
                for arm, v in (("context_vector", 94.0), ("conv_maml", 98.0))
            }
            | after_steps(
                {
                    f"rl_half_cheetah_forward_backward_{arm}": v
                    for arm, v in (("context_vector", -40.0), ("maml", 300.0))
                },
                (1, 2, 3),
            ),
            ("omniglot_5way_5shot_context_vector", 98.5),
        ),
        (
            "order_point",
            {
                f"rl_2d_navigation_{arm}_step{s}": value + s
                for arm, value in (("maml", -20.0), ("pretrained", -40.0), ("random", -80.0))
                for s in range(5)
            }
            | {"rl_2d_navigation_oracle": -2.0},
            ("rl_2d_navigation_maml_step4", -1.0),
        ),
        (
            "paper_bound_ant_velocity_random",
            after_steps({"rl_ant_goal_velocity_random": -30.0}, range(4)),
            ("rl_ant_goal_velocity_random_step2", -24.0),
        ),
        (
            "paper_bound_cheetah_velocity_random",
            after_steps({"rl_half_cheetah_goal_velocity_random": -210.0}, range(4)),
            ("rl_half_cheetah_goal_velocity_random_step0", -199.0),
        ),
        (
            "pretrain_worse_than_random",
            after_steps(
                {
                    f"rl_{task}_forward_backward_{arm}": value
                    for task in ("half_cheetah", "ant")
                    for arm, value in (("pretrained", 1.0), ("random", 2.0))
                },
                (1, 2, 3),
            ),
            ("rl_ant_forward_backward_pretrained_step3", 2.5),
        ),
        (
            "order_table2",
            {
                f"sinusoid_5shot_{name}_step{s}": float(place)
                for place, name in enumerate(
                    ("maml", "pretrained", "multitask_reg_to_mean", "multitask_no_reg", "multitask_l2_reg"), 1
                )
                for s in (1, 5, 10)
            },
            ("sinusoid_5shot_maml_step10", 2.5),
        ),
    ],
)
def test_claims_on_several_arms(claim, values, changed):
    assert row(compare(result(values, spec="all")), claim).verdict == v.PASS
    id_, value = changed
    assert row(compare(result(values | {id_: value}, spec="all")), claim).verdict == v.MISS
    without = {key: mean for key, mean in values.items() if key != id_}
    assert row(compare(result(without, spec="all")), claim).verdict == v.NOT_RUN


def test_the_speed_of_first_order_is_only_reported():
    gain = result({}, "first_order_gain", settings={"1_shot": {"saved": 0.3}, "5_shot": {"saved": 0.25}})
    told = row(compare(gain), "first_order_speed")
    assert told.verdict == v.INFORMATIONAL
    assert "that first order saves: 1_shot 30%, 5_shot 25%" in told.detail
    assert row(compare(), "first_order_speed").verdict == v.NOT_RUN


def test_a_claim_is_judged_on_yours_completed_by_the_published_results():
    arms = [result({}, "sinusoid_pretrained", curves=RISING), result({}, curves=FALLING)]
    judged = row(compare(*arms, yours=[result({}, curves=RISING)]), "sinusoid_keeps_improving")
    assert (judged.published.verdict, judged.yours.verdict) == (v.PASS, v.MISS)
    judged = compare(*arms, yours=[result({}, "sinusoid_pretrained", curves=FALLING)])
    assert row(judged, "sinusoid_keeps_improving").yours is None  # it is about MAML alone
    assert row(judged, "sinusoid_maml_below_pretrained").yours.verdict == v.MISS  # equal curves
