"""The interval of a difference, computed tolerances, and what wrong programs get."""

import dataclasses
import math

import numpy as np
import pytest
from made_results import BY_ID, CONV, MAML, PRETRAINED, TARGETS, compare, curve, result, row

from maml_tf.errors import UsageError
from maml_tf.experiments.results import TargetValue
from reproduce import paths
from reproduce.comparison import load_comparison, verdicts
from reproduce.comparison.authors import read_authors_returns
from reproduce.comparison.equivalence import Difference, equivalence, tolerance_of, verdict_of_difference
from reproduce.comparison.tables import informative_share, shown_equivalence
from reproduce.comparison.wrong_programs import is_informative, passes, wrong_programs

AUTHORS = read_authors_returns(paths.AUTHORS_RETURNS)
VELOCITY, DIRECTION = "rl_half_cheetah_goal_velocity_maml_step1", "rl_ant_forward_backward_maml_step1"


@pytest.mark.parametrize(
    ("id_", "mean", "width", "verdict"),
    [
        (PRETRAINED, 0.1, 0.3, "equal"),  # 2.41 within 0.482, two-sided
        (PRETRAINED, 0.1, 0.4, "pass"),
        (PRETRAINED, -0.3, 0.2, "pass"),
        (PRETRAINED, -0.6, 0.2, "undecided"),
        (PRETRAINED, 0.8, 0.2, "miss"),
        (PRETRAINED, 0.1, math.nan, "pass"),  # no interval, no equality
        (PRETRAINED, math.inf, 0.1, "miss"),
        (CONV, 0.5, 0.4, "equal"),  # 98.7 within 1, higher is better
        (CONV, 0.9, 0.4, "not worse"),
        (CONV, 1.5, 0.1, "not worse"),
        (CONV, 1.5, 3.0, "pass"),
        (CONV, -0.9, 0.4, "pass"),
        (CONV, -1.1, 0.4, "undecided"),
        (CONV, -1.5, 0.4, "miss"),
        (MAML, -0.3, 0.05, "not worse"),  # lower is better
        (MAML, 0.3, 0.05, "miss"),
    ],
)
def test_the_verdict_of_a_difference(id_, mean, width, verdict):
    target = BY_ID[id_]
    assert verdict_of_difference(target, Difference("", mean, width), target.half_width) == verdict


def with_tasks(id_, scores, spec="half_cheetah_velocity_maml", **changes):
    """A comparison of one target whose result keeps scores [seeds, tasks]."""
    scores = np.asarray(scores)
    per_seed = tuple(scores.mean(axis=1).tolist())
    mean = sum(per_seed) / len(per_seed)
    made = result({id_: mean}, spec=spec)
    kept = tuple(tuple((0.0, value) for value in tasks) for tasks in scores.tolist())
    returns = dataclasses.replace(curve(0.0, mean), per_seed=tuple((0.0, each) for each in per_seed))
    made = dataclasses.replace(
        made,
        seeds=tuple(range(1, len(scores) + 1)),
        targets={id_: TargetValue(mean, 5.0, 40, per_seed)},
        curves={"return": returns},
        task_scores={"return": kept},
        **changes,
    )
    return dataclasses.replace(compare(made), authors=AUTHORS)


def test_velocities_are_paired_on_the_same_goals():
    theirs = AUTHORS.of(BY_ID[VELOCITY])
    same = with_tasks(VELOCITY, [theirs + 4.0])
    found = equivalence(row(same, VELOCITY), same)
    assert (found.how, found.verdict) == ("paired on the same goals", "equal")
    assert found.differences[0].mean == pytest.approx(4.0)
    assert found.differences[0].half_width == pytest.approx(0.0, abs=1e-12)  # the goals explain all of the scatter
    shuffled = with_tasks(VELOCITY, [theirs[::-1] + 4.0])
    assert equivalence(row(shuffled, VELOCITY), shuffled).differences[0].half_width > 10.0


def test_directions_are_judged_apart_and_the_worse_one_counts():
    theirs = AUTHORS.of(BY_ID[DIRECTION])
    forward = AUTHORS.directions("rl_ant_forward_backward") > 0
    # Forward worse and backward better by the same amount: the mean says nothing.
    other = with_tasks(DIRECTION, [theirs + np.where(forward, -150.0, 150.0)], spec="ant_direction_maml")
    judged = row(other, DIRECTION)
    found = equivalence(judged, other)
    assert judged.verdict == verdicts.PASS
    assert [(each.of, round(each.mean)) for each in found.differences] == [("forward", -150), ("backward", 150)]
    assert found.verdict == "miss"
    assert "forward -150 ±" in shown_equivalence(found)


def test_the_scatter_of_seeds_widens_the_interval():
    theirs = AUTHORS.of(BY_ID[VELOCITY])
    three = with_tasks(VELOCITY, [theirs - 10.0, theirs, theirs + 10.0])
    width = equivalence(row(three, VELOCITY), three).differences[0].half_width
    assert width == pytest.approx(1.96 * 10.0 * math.sqrt(1 + 1 / 3))


def test_without_scores_of_tasks_the_intervals_are_taken_in_quadrature():
    target = BY_ID[CONV]
    judged = compare(result({CONV: 98.7}, spec="omniglot_5way_1shot_conv"))
    found = equivalence(row(judged, CONV), judged)
    assert found.how == "intervals in quadrature"
    assert found.differences[0].half_width == pytest.approx(math.hypot(0.01, target.paper_ci95))
    assert found.tolerance == target.half_width
    assert equivalence(row(compare(), CONV), compare()) is None


def test_no_computed_tolerance_is_looser_than_the_one_set_by_hand():
    judged = dataclasses.replace(compare(), authors=AUTHORS)
    gated = [target for target in TARGETS.entries if target.gated]
    assert all(0 < tolerance_of(target, judged) <= target.half_width for target in gated)
    tighter = [target.id for target in gated if tolerance_of(target, judged) < target.half_width]
    assert {VELOCITY, DIRECTION, "rl_ant_forward_backward_oracle"} <= set(tighter)


def test_the_authors_returns_are_those_of_the_targets():
    checked = 0
    for target in TARGETS.entries:
        theirs = AUTHORS.of(target)
        if theirs is not None and target.duplicate_of is None and target.source_kind == "author_pickle":
            assert theirs.mean() == pytest.approx(target.paper_mean, abs=0.006), target.id
            checked += 1
    assert checked >= 68


def test_the_authors_goals_are_our_test_goals():
    from maml_tf.rl.envs.registry import ENVIRONMENTS, environment

    goals = {environment(name).targets_id: environment(name).vector_class.goal_distribution for name in ENVIRONMENTS}
    for experiment, theirs in AUTHORS.goals.items():
        np.testing.assert_allclose(goals[experiment].test_goals(), theirs, atol=1e-6)


def test_a_file_of_returns_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "returns.json"
    for text, problem in (
        ("[", "expected tables of numbers"),
        ("{}", "goals: is missing"),
        ('{"goals": {"a": [1, 2]}, "returns": {"a_maml": [[1, 2, 3]]}}', "returns.a_maml: expected rows"),
        ('{"goals": {"a": [1, 2]}, "returns": {"b_maml": [[1, 2]]}}', "returns.b_maml: expected rows"),
        ('{"goals": {"a": ["x"]}, "returns": {}}', "expected tables of numbers"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=problem):
            read_authors_returns(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_authors_returns(tmp_path / "none.json")


def test_a_pass_that_a_wrong_program_gets_too_is_not_informative():
    vacuous, telling = "rl_ant_forward_backward_pretrained_step1", DIRECTION
    dense = "omniglot_5way_1shot_nonconv_maml"
    made = result({vacuous: 5.0, telling: 499.0, dense: 89.7}, spec="x")
    judged = dataclasses.replace(compare(made), authors=AUTHORS)
    assert [is_informative(row(judged, id_), judged) for id_ in (vacuous, telling, dense)] == [False, True, True]
    assert passes(judged) == (3, 2)
    assert "2 of the 3 passes are informative" in informative_share(judged)
    wrong = {each.what: each for each in wrong_programs(BY_ID[vacuous], judged)}
    assert wrong["stands still"].value == pytest.approx(10.0)
    assert wrong["does not adapt"].value == BY_ID["rl_ant_forward_backward_pretrained_step0"].paper_mean
    assert all(each.passes for each in wrong.values())
    assert [(each.what, each.value) for each in wrong_programs(BY_ID[CONV], judged)] == [("guesses", 20.0)]
    assert wrong_programs(BY_ID["sinusoid_10shot_maml_curve"], judged) == []


def test_every_gated_target_has_a_wrong_program():
    judged = dataclasses.replace(compare(), authors=AUTHORS)
    assert [t.id for t in TARGETS.entries if t.gated and not wrong_programs(t, judged)] == []


def test_the_published_record_says_which_passes_prove_nothing():
    record = load_comparison()
    held, informative = passes(record)
    assert 0 < informative < held
    vacuous = {r.target.id for r in record.rows if r.target.gated and not is_informative(r, record)}
    assert {f"rl_ant_forward_backward_{arm}_step{n}" for arm in ("pretrained", "random") for n in range(4)} <= vacuous
    assert not any(id_.startswith(("omniglot", "miniimagenet")) for id_ in vacuous)
