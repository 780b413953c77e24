"""Verdicts: at the edges of a tolerance, of partial runs, at the half-way mark, of published results and yours."""

import dataclasses
import math

import pytest
from made_results import BY_ID, CONV, MAML, PRETRAINED, compare, half_way, known_failure, result, row

from reproduce.comparison import verdicts as v
from reproduce.comparison.gate import gate
from reproduce.comparison.measurements import GAP_CLOSED


@pytest.mark.parametrize(
    ("id_", "mean", "verdict"),
    [
        (MAML, 0.67 * 1.3, v.PASS),
        (MAML, 0.67 * 1.3 + 1e-6, v.MISS),
        (MAML, 0.67 * 0.7, v.PASS),
        (MAML, 0.67 * 0.7 - 1e-6, v.BETTER),
        (MAML, math.inf, v.MISS),
        (MAML, math.nan, v.MISS),
        (PRETRAINED, 2.41 * 0.8, v.PASS),
        (PRETRAINED, 2.41 * 0.8 - 1e-6, v.MISS),
        (PRETRAINED, 2.41 * 1.2 + 1e-6, v.MISS),
        (CONV, 97.7, v.PASS),
        (CONV, 97.69, v.MISS),
        (CONV, 99.71, v.BETTER),
        ("sinusoid_check_best_task_blind_predictor", 3.0057 * 1.08, v.PASS),
        ("sinusoid_check_best_task_blind_predictor", 3.0057 * 0.91, v.MISS),
    ],
)
def test_verdicts_at_the_edges(id_, mean, verdict):
    assert v.verdict_of(BY_ID[id_], mean) == verdict


def test_only_complete_paper_results_are_judged():
    partial = compare(result({MAML: 9.0}, profile="cpu", iterations_done=100))
    assert (row(partial, MAML).verdict, row(partial, MAML).detail) == (v.PARTIAL, "100 of 70000 iterations")
    assert row(compare(result({MAML: 9.0}, iterations_done=69999)), MAML).verdict == v.PARTIAL
    assert row(compare(), MAML).verdict == v.NOT_RUN
    assert row(compare(), "miniimagenet_5way_1shot_matching_nets").verdict == v.CITATION
    assert gate(partial) == (0, [])


def test_the_papers_own_numbers_pass_everywhere():
    derived = {id_ for id_ in BY_ID if GAP_CLOSED.fullmatch(id_)}
    own = {t.id: t.paper_mean for t in BY_ID.values() if t.paper_mean is not None and t.id not in derived}
    judged = compare(result(own, spec="paper"))
    assert all(r.verdict == v.PASS for r in judged.rows if r.target.gated)
    assert sum(r.target.gated for r in judged.rows) >= 121  # none is lost; others may be added
    assert len(judged.rows) >= 166
    assert {r.verdict for r in judged.claims} <= {v.PASS, v.NOT_RUN}
    assert gate(judged) == (0, [])


def test_seeds_outside_are_counted():
    mixed = result({MAML: 0.7})
    value = dataclasses.replace(mixed.targets[MAML], per_seed=(0.4, 1.0))
    judged = row(compare(dataclasses.replace(mixed, targets={MAML: value})), MAML)
    assert (judged.verdict, judged.detail) == (v.PASS, "1 of 2 seeds inside")


def test_targets_that_are_only_for_information_are_not_judged():
    curve_target = "sinusoid_10shot_maml_curve"
    assert row(compare(result({curve_target: 9.0})), curve_target).verdict == v.INFORMATIONAL
    cited = "miniimagenet_5way_1shot_nearest_neighbour_baseline"
    judged = row(compare(result({cited: 10.0})), cited)
    assert (judged.verdict, judged.ours.mean) == (v.INFORMATIONAL, 10.0)
    assert row(compare(), cited).verdict == v.CITATION


@pytest.mark.parametrize(
    ("mean", "changes", "verdict"),
    [
        (97.8, {}, v.EARLY),
        (99.9, {}, v.EARLY),  # better than the tolerance
        (97.6, {}, v.PARTIAL),  # outside: not a miss, the training may still get there
        (97.8, {"iterations_done": 34999}, v.PARTIAL),
        (97.8, {"iterations_done": 35001}, v.PARTIAL),
        (97.8, {"profile": "partial"}, v.PARTIAL),
        (97.8, {"profile": "cpu"}, v.PARTIAL),
        (97.8, {"settings": {"seed_1": {"best_validation_accuracy": 98.0}, "seed_2": {}}}, v.PARTIAL),
    ],
)
def test_a_cell_passes_early_at_exactly_half_of_its_iterations(mean, changes, verdict):
    judged = row(compare(half_way({CONV: mean}, **changes)), CONV)
    assert judged.verdict == verdict
    assert gate(compare(half_way({CONV: mean}, **changes))) == (0, [])
    if verdict == v.EARLY:
        assert judged.detail == "35000 of 70000"


def test_only_accuracies_pass_early():
    assert row(compare(half_way({MAML: 0.6}, spec="sinusoid_maml")), MAML).verdict == v.PARTIAL
    cited = "miniimagenet_5way_1shot_nearest_neighbour_baseline"
    assert row(compare(half_way({cited: 41.0})), cited).verdict == v.PARTIAL


@pytest.mark.parametrize(("mean", "verdict"), [(98.7, v.PASS), (90.0, v.MISS)])
def test_the_end_of_the_training_replaces_the_half_way_test(mean, verdict):
    half, whole = half_way({CONV: 98.0}), result({CONV: mean}, spec="omniglot_5way_1shot_conv")
    assert row(compare(half, yours=[whole]), CONV).verdict == verdict
    # Within one folder `read_results` takes the paper result (tests/experiments/test_results.py).


def test_an_early_pass_is_no_evidence_for_a_claim():
    cells = [f"omniglot_5way_{shots}shot_{arm}" for shots in (1, 5) for arm in ("conv_maml", "context_vector")]
    whole = compare(result({id_: 98.0 if "maml" in id_ else 95.0 for id_ in cells}, spec="all"))
    assert "holds: omniglot 5-way 1-shot" in row(whole, "context_below_maml").detail
    half = compare(half_way(dict.fromkeys(cells, 98.0)))
    assert row(half, "context_below_maml").detail.startswith("not run: omniglot 5-way 1-shot")


def test_yours_is_judged_first():
    both = row(compare(result({MAML: 0.6}), yours=[result({MAML: 9.0})]), MAML)
    assert (both.published.verdict, both.yours.verdict, both.verdict) == (v.PASS, v.MISS, v.MISS)
    assert both.ours.mean == 9.0
    alone = row(compare(yours=[result({MAML: 0.6})]), MAML)
    assert (alone.published.verdict, alone.verdict) == (v.NOT_RUN, v.PASS)
    assert row(compare(result({MAML: 0.6})), MAML).yours is None


def test_a_partial_run_of_yours_does_not_hide_a_published_verdict():
    partial = result({MAML: 9.0}, profile="cpu", iterations_done=10)
    both = row(compare(result({MAML: 0.6}), yours=[partial]), MAML)
    assert (both.yours.verdict, both.verdict, both.ours.mean) == (v.PARTIAL, v.PASS, 0.6)
    assert row(compare(yours=[partial]), MAML).verdict == v.PARTIAL


def test_failures_that_are_known_and_flaky():
    states = {
        (mean, flaky): row(compare(result({MAML: mean}), known=[known_failure(flaky=flaky)]), MAML)
        for mean in (9.0, 0.6)
        for flaky in (False, True)
    }
    names = ("xfail", "xpass", "flaky", "explained")
    assert {key: tuple(getattr(judged, name) for name in names) for key, judged in states.items()} == {
        (9.0, False): (True, False, False, True),
        (9.0, True): (True, False, True, True),
        (0.6, False): (False, True, False, False),
        (0.6, True): (False, False, True, True),
    }
    assert not row(compare(known=[known_failure(flaky=True)]), MAML).explained  # nothing was run
