"""Verdicts, claims and the gate."""

import dataclasses
import json
import math
import pathlib
import subprocess
import sys

import pytest

from maml_tf.errors import UsageError
from maml_tf.experiments.results import Curve, Result, TargetValue, read_result, read_results, write_result
from reproduce.comparison import verdicts as c
from reproduce.comparison.claims import CLAIMS, LOCOMOTION
from reproduce.comparison.readme_table import readme_table
from reproduce.comparison.tables import as_json, full_table, markdown_table, summary, text_table
from reproduce.comparison.targets import read_targets

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = read_targets(ROOT / "reproduce" / "targets.yaml")
BY_ID = {target.id: target for target in TARGETS.entries}
MAML = "sinusoid_5shot_maml_step1"  # 0.67, relative tolerance 0.3, lower is better, better passes
PRETRAINED = "sinusoid_5shot_pretrained_step1"  # 2.41, relative tolerance 0.2, two-sided
CONV = "omniglot_5way_1shot_conv_maml"  # 98.7, absolute tolerance 1.0, higher is better, better passes


def result(targets, spec="sinusoid_maml", profile="paper", iterations_done=70000, curves=None):
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
        settings={"seed_1": {"step_size": 0.01}},
        data={},
        spec_hash="0123456789",
        git_commit="abc",
        packages={"numpy": "2"},
        hardware="a computer",
        wall_seconds=1.5,
        command="make",
        weights={},
    )


def compare(*results, known=()):
    return c.compare(TARGETS, {r.spec: r for r in results}, known)


def row(comparison, id_):
    return next(r for r in (*comparison.rows, *comparison.claims) if r.target.id == id_)


@pytest.mark.parametrize(
    ("id_", "mean", "verdict"),
    [
        (MAML, 0.67 * 1.3, c.PASS),
        (MAML, 0.67 * 1.3 + 1e-6, c.MISS),
        (MAML, 0.67 * 0.7, c.PASS),
        (MAML, 0.67 * 0.7 - 1e-6, c.BETTER),
        (MAML, math.inf, c.MISS),
        (MAML, math.nan, c.MISS),
        (PRETRAINED, 2.41 * 0.8, c.PASS),
        (PRETRAINED, 2.41 * 0.8 - 1e-6, c.MISS),
        (PRETRAINED, 2.41 * 1.2 + 1e-6, c.MISS),
        (CONV, 97.7, c.PASS),
        (CONV, 97.69, c.MISS),
        (CONV, 99.71, c.BETTER),
        ("sinusoid_check_best_task_blind_predictor", 3.0057 * 1.08, c.PASS),
        ("sinusoid_check_best_task_blind_predictor", 3.0057 * 0.91, c.MISS),
    ],
)
def test_verdicts_at_the_edges(id_, mean, verdict):
    assert c.verdict_of(BY_ID[id_], mean) == verdict


def test_only_complete_paper_results_are_judged():
    reduced = compare(result({MAML: 9.0}, profile="cpu", iterations_done=100))
    assert row(reduced, MAML).verdict == c.REDUCED
    assert row(reduced, MAML).detail == "100 of 70000 iterations"
    assert "cpu      reduced: 100 of 70000 iterations" in text_table(reduced)
    assert row(compare(result({MAML: 9.0}, iterations_done=69999)), MAML).verdict == c.REDUCED
    assert row(compare(), MAML).verdict == c.NOT_RUN
    assert row(compare(), "miniimagenet_5way_1shot_matching_nets").verdict == c.CITATION
    assert reduced.gate() == (0, [])


def test_the_papers_own_numbers_pass_everywhere():
    derived = {target.id for target in TARGETS.entries if c.GAP_CLOSED.fullmatch(target.id)}
    own = {t.id: t.paper_mean for t in TARGETS.entries if t.paper_mean is not None and t.id not in derived}
    judged = compare(result(own, spec="paper"))
    assert all(r.verdict == c.PASS for r in judged.rows if r.target.gated)
    assert sum(r.target.gated for r in judged.rows) == 121
    assert len(judged.rows) == 166
    assert {r.verdict for r in judged.claims} <= {c.PASS, c.NOT_RUN}
    assert judged.gate() == (0, [])


def test_seeds_outside_are_counted():
    mixed = result({MAML: 0.7})
    value = dataclasses.replace(mixed.targets[MAML], per_seed=(0.4, 1.0))
    judged = row(compare(dataclasses.replace(mixed, targets={MAML: value})), MAML)
    assert (judged.verdict, judged.detail) == (c.PASS, "1 of 2 seeds inside")


def test_a_duplicate_takes_the_others_value_and_diagnostics_are_not_judged():
    both = compare(result({CONV: 98.0}, spec="cell"))
    assert row(both, "omniglot_5way_1shot_maml_table3").ours.mean == 98.0
    assert (
        row(compare(result({"sinusoid_10shot_maml_curve": 9.0})), "sinusoid_10shot_maml_curve").verdict == c.DIAGNOSTIC
    )


def test_the_closed_gap_is_derived_from_our_own_arms():
    task = "rl_2d_navigation"
    arms = result({f"{task}_maml_step0": -40.0, f"{task}_maml_step1": -16.0, f"{task}_oracle": -8.0}, spec="point")
    gap = row(compare(arms), f"{task}_gap_closed_step1")
    assert gap.ours.mean == pytest.approx(24 / 32)
    assert (gap.verdict, gap.detail) == (c.PASS, "2 of 2 seeds inside")
    assert row(compare(arms), f"{task}_gap_closed_step2").verdict == c.NOT_RUN
    reduced = compare(dataclasses.replace(arms, profile="cpu", iterations_done=10))
    assert row(reduced, f"{task}_gap_closed_step1").verdict == c.REDUCED
    level = result({f"{task}_maml_step0": -8.0, f"{task}_maml_step1": -8.0, f"{task}_oracle": -8.0}, spec="point")
    assert row(compare(level), f"{task}_gap_closed_step1").verdict == c.MISS
    oracle = result({f"{task}_oracle": -8.0}, spec="oracle")
    before, after = (result({f"{task}_maml_step{s}": -40.0}, spec=f"step{s}") for s in (0, 1))
    with pytest.raises(UsageError, match=r"results of step1 and step0: seeds: \[1, 3\] and \[1, 2\]; the share"):
        compare(before, dataclasses.replace(after, seeds=(1, 3)), oracle)
    with pytest.raises(UsageError, match="gap_closed_step1' is always derived from other targets"):
        compare(result({f"{task}_gap_closed_step1": 0.9}))


def test_a_row_that_the_authors_only_cite_is_shown_when_it_was_run_but_not_judged():
    cited = "miniimagenet_5way_1shot_nearest_neighbour_baseline"
    judged = row(compare(result({cited: 10.0})), cited)
    assert (judged.verdict, judged.ours.mean) == (c.DIAGNOSTIC, 10.0)
    assert row(compare(), cited).verdict == c.CITATION


def test_a_target_has_one_value():
    cpu = result({MAML: 0.5}, spec="another", profile="cpu")
    assert row(compare(cpu, result({MAML: 0.6})), MAML).ours.mean == 0.6
    with pytest.raises(UsageError, match=f"results of sinusoid_maml and another: both give a value for '{MAML}'"):
        compare(result({MAML: 0.6}), result({MAML: 0.5}, spec="another"))


def curve(*values):
    return Curve(tuple(range(len(values))), values, values, (values, values))


def test_claims_of_the_sinusoid():
    falling = {f"{K}_shot": curve(*[(3 - 0.2 * s) / K for s in range(11)]) for K in (5, 10, 20)}
    rising = falling | {"10_shot": curve(*[0.1 + 0.01 * s for s in range(11)])}
    good = compare(result({MAML: 0.6}, curves=falling))
    assert row(good, "sinusoid_keeps_improving").verdict == c.PASS
    assert row(good, "sinusoid_more_shots_help").verdict == c.PASS
    bad = row(compare(result({MAML: 0.6}, curves=rising)), "sinusoid_keeps_improving")
    assert bad.verdict == c.MISS
    assert "K = 10: 0.11 > 0.15 > 0.2" in bad.detail
    reduced = compare(result({MAML: 0.6}, curves=rising, profile="cpu"))
    assert row(reduced, "sinusoid_keeps_improving").verdict == c.NOT_RUN
    assert {claim.id for claim in TARGETS.claims} == set(CLAIMS)


def test_a_diverged_curve_is_below_nothing():
    low, high = ({f"{K}_shot": curve(*[value] * 10, math.inf) for K in (5, 10, 20)} for value in (1.0, 2.0))
    judged = compare(result({}, curves=low), result({}, spec="sinusoid_pretrained", curves=high))
    assert row(judged, "sinusoid_maml_below_pretrained").verdict == c.MISS
    judged = compare(result({}, curves=high), result({}, spec="sinusoid_oracle", curves=low))
    assert row(judged, "sinusoid_oracle_lowest").verdict == c.MISS


def test_a_claim_of_many_parts_is_broken_by_one_that_was_run():
    """pretrain_worse_than_random: two tasks, three steps each; the ant's are not run here."""
    task = "rl_half_cheetah_forward_backward"

    def judged(pretrained, *tasks):
        values = {}
        for each in tasks:
            for step in (1, 2, 3):
                values |= {f"{each}_random_step{step}": 10.0, f"{each}_pretrained_step{step}": pretrained[step - 1]}
        return row(compare(result(values, spec="rl")), "pretrain_worse_than_random")

    assert judged([1.0, 2.0, 3.0], task, "rl_ant_forward_backward").verdict == c.PASS
    missing = judged([1.0, 2.0, 3.0], task)
    assert missing.verdict == c.NOT_RUN
    assert missing.detail.startswith("not run: ant forward backward, step 1, ant forward backward, step 2")
    assert "holds: half cheetah forward backward, step 1 (pretrained 1, random 10)" in missing.detail
    broken = judged([1.0, 12.0, 3.0], task)
    assert broken.verdict == c.MISS
    assert broken.detail.startswith("broken: half cheetah forward backward, step 2 (pretrained 12, random 10); holds")
    assert broken.detail.endswith(
        "not run: ant forward backward, step 1, ant forward backward, step 2, ant forward backward, step 3"
    )


@pytest.mark.parametrize(
    ("claim", "values", "changed"),
    [
        (
            "order_locomotion",
            {
                f"{task}_{arm}": value
                for task in LOCOMOTION
                for arms in (
                    {"oracle": 9.0},
                    {
                        f"{arm}_step{s}": v
                        for arm, v in (("maml", 8.0), ("pretrained", 1.0), ("random", 2.0))
                        for s in (1, 2, 3)
                    },
                )
                for arm, value in arms.items()
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
            | {
                f"rl_half_cheetah_forward_backward_{arm}_step{s}": v
                for s in (1, 2, 3)
                for arm, v in (("context_vector", -40.0), ("maml", 300.0))
            },
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
    ],
)
def test_claims_on_several_arms(claim, values, changed):
    assert row(compare(result(values, spec="all")), claim).verdict == c.PASS
    id_, value = changed
    assert row(compare(result(values | {id_: value}, spec="all")), claim).verdict == c.MISS
    del values[id_]
    assert row(compare(result(values, spec="all")), claim).verdict == c.NOT_RUN


def test_the_speed_of_first_order_is_reported_only():
    gain = dataclasses.replace(
        result({}, spec="first_order_gain"), settings={"1_shot": {"saved": 0.3}, "5_shot": {"saved": 0.25}}
    )
    told = row(compare(gain), "first_order_speed")
    assert told.verdict == c.DIAGNOSTIC
    assert "first order saves, of a meta-iteration's time: 1_shot 30%, 5_shot 25%" in told.detail
    assert row(compare(), "first_order_speed").verdict == c.NOT_RUN


def test_a_claim_without_a_rule_is_an_error():
    claims = (dataclasses.replace(TARGETS.claims[0], id="nothing"),)
    with pytest.raises(UsageError, match="claim 'nothing': there is no rule to judge it; there are rules for paper_"):
        c.compare(dataclasses.replace(TARGETS, claims=claims), {})


def test_order_of_table_2():
    names = ("maml", "pretrained", "multitask_reg_to_mean", "multitask_no_reg", "multitask_l2_reg")
    values = {f"sinusoid_5shot_{n}_step{s}": float(i) for i, n in enumerate(names, 1) for s in (1, 5, 10)}
    assert row(compare(result(values)), "order_table2").verdict == c.PASS
    values["sinusoid_5shot_maml_step10"] = 2.5
    assert row(compare(result(values)), "order_table2").verdict == c.MISS


def test_the_gate():
    miss = c.KnownFailure(id=MAML, cause="one diverges", tried="all", since="2026-11-20")
    code, messages = compare(result({MAML: 9.0})).gate()
    assert code == 1
    assert messages == [f"{MAML}: outside its tolerance and not in the list of known misses. 0 of 2 seeds inside"]
    assert compare(result({MAML: 9.0}), known=[miss]).gate() == (0, [])
    assert compare(result({MAML: 0.6}), known=[miss]).gate() == (
        1,
        [f"{MAML}: holds again; take it from the list of known misses"],
    )
    assert compare(known=[miss]).gate() == (0, [])


def test_a_miss_that_rounding_decides_may_hold_and_is_shown_all_the_same():
    miss = c.KnownFailure(id=MAML, cause="one diverges", tried="all", since="2026-11-20", rounding_decides=True)
    for value, verdict in ((9.0, "**MISS** (known;"), (0.6, "pass (rounding decides;")):
        comparison = compare(result({MAML: value}), known=[miss])
        assert comparison.gate() == (0, [])
        table = markdown_table(comparison)
        assert verdict in table
        assert "one diverges Tried: all" in table
    assert f"* **{MAML}** (holds here): one diverges" in table


def test_tables_show_what_was_found():
    judged = compare(result({MAML: 9.0, PRETRAINED: 2.5}), known=[c.KnownFailure(MAML, "one diverges", "all", "today")])
    text, markdown = text_table(judged), markdown_table(judged, skip=(c.NOT_RUN, c.CITATION))
    assert "0.67" in text
    assert "**MISS** (known; 0 of 2 seeds inside)" in markdown
    assert "MISS (known; 0 of 2 seeds inside)" in text
    assert "**" not in text
    assert "maml, 1 step " in text
    assert "48.7 ± 1.84" in text  # as published
    assert "* **sinusoid_5shot_maml_step1**: one diverges Tried: all" in markdown
    assert "matching_nets" in text
    assert "matching_nets" not in markdown
    assert "1 miss" in summary(judged)
    assert "1 pass" in summary(judged)
    assert json.dumps(as_json(judged)) == json.dumps(
        as_json(
            compare(result({MAML: 9.0, PRETRAINED: 2.5}), known=[c.KnownFailure(MAML, "one diverges", "all", "today")])
        )
    )
    assert "diverged" in text_table(compare(result({MAML: math.inf})))
    assert r"| \|second - first order\| <= 2.0" in markdown_table(judged)


def test_a_full_table_shows_the_chosen_and_the_last_model():
    tested = {"1_shot": curve(20.0, 97.0, 98.0, 99.0), "1_shot_last_model": curve(20.0, 96.0, 97.0, 98.2)}
    judged = compare(result({CONV: 99.0}, "omniglot", curves=tested), result({MAML: 0.6}))
    header, *lines = full_table(judged).splitlines()
    assert "last model" in header
    conv = next(line for line in lines if line.startswith("omniglot 5-way 1-shot maml_conv, 3 steps"))
    assert conv.index(" 99 ") < conv.index("98.2")
    sinusoid = next(line for line in lines if line.startswith("sinusoid 5-shot maml, 1 step "))
    assert "98.2" not in sinusoid


def test_the_short_table_has_a_line_for_each_arm():
    steps = {f"sinusoid_5shot_maml_step{step}": value for step, value in ((1, 9.0), (5, 0.381), (10, 0.35))}
    judged = compare(
        result(steps | {PRETRAINED: 2.5, CONV: 99.0, "omniglot_5way_5shot_conv_maml": 42.0}),
        result({"miniimagenet_5way_1shot_maml": 30.0}, "mini", profile="cpu", iterations_done=9),
        known=[c.KnownFailure(MAML, "one diverges", "all", "today")],
    )
    table = readme_table(judged, skip=(c.NOT_RUN, c.CITATION))
    where = "Table 2 / Figure 6 (K=5)"
    for line in (
        f"| {where} | sinusoid 5-shot MAML | 1, 5, 10 | 0.67 / 0.38 / 0.35 | **9** / 0.381 / 0.35 | 2 "
        "| 1 **MISS** (known), 2 pass |",
        f"| {where} | sinusoid 5-shot pretrained | 1 | 2.41 | 2.5 ± 0.01 | 2 | pass |",
        "| Table 1 | omniglot 5-way 1-shot MAML conv | 3 | 98.7 ± 0.4 | 99 ± 0.01 | 2 | pass |",
        "| Table 1 | omniglot 5-way 5-shot MAML conv | 3 | 99.9 ± 0.1 | **42 ± 0.01** | 2 | **MISS** |",
        "| Table 1 | miniimagenet 5-way 1-shot MAML | 10 | 48.7 ± 1.84 | 30 ± 0.01 | 2 "
        "| reduced: 9 of 70000 iterations |",
    ):
        assert line in table.splitlines()
    assert "matching nets" not in table
    folded = table.split("<details>")[1]
    assert "one diverges Tried: all" in folded
    assert "<details>" not in readme_table(compare(result({CONV: 99.0})))
    assert "| citation |" in readme_table(judged)


def test_a_result_that_could_not_be_read_again_is_not_written(tmp_path):
    nested = dataclasses.replace(result({MAML: 0.6}), settings={"cell": {"off": {"float32": 0.1}}})
    with pytest.raises(UsageError, match=r"sinusoid_maml\.json: settings\.cell\.off"):
        write_result(nested, tmp_path)
    assert not list(tmp_path.iterdir())


def test_results_round_trip_with_divergence_and_are_checked(tmp_path):
    original = result({MAML: math.inf}, curves={"5_shot": curve(1.0, math.inf)})
    path = write_result(original, tmp_path)
    assert path == tmp_path / "sinusoid_maml.json"
    assert read_result(path) == original
    reduced = write_result(dataclasses.replace(original, profile="cpu"), tmp_path)
    assert reduced == tmp_path / "partial" / "sinusoid_maml.json"
    assert read_results(tmp_path)["sinusoid_maml"].profile == "paper"
    mapping = json.loads(path.read_text())
    for change, message in (
        ({"seeds": "all"}, r"sinusoid_maml.json: seeds: 'all' is not allowed; expected a list of a whole number"),
        ({"extra": 1}, r"unknown key 'extra'; allowed are spec, profile"),
        ({"seeds": [1]}, r"targets.sinusoid_5shot_maml_step1.per_seed: 2 values for 1 seeds"),
        ({"seeds": [], "targets": {}, "curves": {}}, r"seeds: at least one is needed"),
        ({"iterations_asked": -1}, r"iterations_done, iterations_asked: 70000, -1 are not allowed"),
        (
            {"targets": {MAML: {"mean": 0.67, "ci95": 0.1, "n_tasks": 600, "per_seed": [0.9, 0.9]}}},
            r"targets.sinusoid_5shot_maml_step1.mean: 0.67 is not the mean of per_seed, 0.9",
        ),
        ({"wall_seconds": None}, r"wall_seconds: None is not allowed; expected a number"),
        ({"spec": "another"}, r"spec: 'another' is not allowed; the file's name says 'sinusoid_maml'"),
        (
            {"curves": {"5_shot": mapping["curves"]["5_shot"] | {"ci95": [0.1]}}},
            r"curves.5_shot.ci95: 1 values for 2 gradient steps",
        ),
    ):
        path.write_text(json.dumps(mapping | change))
        with pytest.raises(UsageError, match=message):
            read_result(path)
    path.write_text(json.dumps(mapping).replace('"wall_seconds": 1.5', '"wall_seconds": NaN'))
    with pytest.raises(UsageError, match="not valid JSON: NaN is not a number"):
        read_result(path)
    path.write_text(json.dumps(mapping | {"profile": "cpu"}))
    with pytest.raises(UsageError, match=r"sinusoid_maml.json: profile: 'cpu' does not belong here"):
        read_results(tmp_path)
    with pytest.raises(UsageError, match="nowhere: there is no such folder of results"):
        read_results(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  direction: higher",
            "  direction: up",
            r"targets.yaml: entries\[omniglot_5way_1shot_nonconv_maml\].direction: 'up'",
        ),
        (
            "  metric: accuracy_percent",
            "  metrik: x",
            r"entries\[omniglot_5way_1shot_nonconv_maml\]: unknown key 'metrik'",
        ),
        (
            "omniglot_5way_5shot_nonconv_maml",
            "omniglot_5way_1shot_nonconv_maml",
            r"the id '.*1shot_nonconv_maml' stands 2 times",
        ),
        (
            "duplicate_of: omniglot_5way_1shot_conv_maml",
            "duplicate_of: nothing",
            r"duplicate_of: there is no entry 'nothing'",
        ),
        ("paper_mean: 89.7", "paper_mean: null", r"omniglot_5way_1shot_nonconv_maml: paper_mean: a number is needed"),
        ("paper_mean: 89.7", "paper_mean: .nan", r"omniglot_5way_1shot_nonconv_maml: paper_mean: a number is needed"),
        (
            "value: 2.5",
            "value: -2.5",
            r"nonconv_maml\].tolerance: value: -2.5 is not allowed; expected a number above 0",
        ),
    ],
)
def test_a_wrong_targets_file_is_an_error_that_names_the_place(tmp_path, old, new, message):
    text = (ROOT / "reproduce" / "targets.yaml").read_text()
    assert old in text
    (tmp_path / "targets.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError, match=message):
        read_targets(tmp_path / "targets.yaml")


def test_known_failures_are_checked(tmp_path):
    path = tmp_path / "known.yaml"
    path.write_text("- {id: nothing, cause: a, tried: b, since: c}")
    with pytest.raises(UsageError, match=r"known.yaml: nothing: targets.yaml has no such id"):
        c.read_known_failures(path, TARGETS)
    path.write_text(f"- {{id: {MAML}, cause: a}}")
    with pytest.raises(UsageError, match=r"known.yaml: \[0\]: the key 'tried' is missing"):
        c.read_known_failures(path, TARGETS)
    path.write_text(f"- {{id: {MAML}, cause: a, tried: b, since: c}}\n" * 2)
    with pytest.raises(UsageError, match=f"known.yaml: {MAML}: stands there twice"):
        c.read_known_failures(path, TARGETS)
    path.write_text("- {id: sinusoid_10shot_maml_curve, cause: a, tried: b, since: c}")
    with pytest.raises(UsageError, match=r"sinusoid_10shot_maml_curve: is not judged"):
        c.read_known_failures(path, TARGETS)
    assert c.read_known_failures(ROOT / "reproduce" / "known_failures.yaml", TARGETS) is not None


def test_a_result_for_an_unknown_target_is_an_error():
    with pytest.raises(UsageError, match=r"'nothing' is no id of targets.yaml"):
        compare(result({"nothing": 1.0}))


def script(*arguments):
    command = [sys.executable, "-m", "reproduce.compare", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_exit_codes_of_the_script(tmp_path):
    (tmp_path / "known.yaml").write_text("[]")
    common = ("--results", tmp_path, "--known-failures", tmp_path / "known.yaml")
    write_result(result({MAML: 0.6}), tmp_path)
    good = script(*common)
    assert good.returncode == 0, good.stderr
    first = {name: (tmp_path / name).read_text() for name in ("comparison.md", "comparison.json")}
    assert script(*common).returncode == 0
    assert first == {name: (tmp_path / name).read_text() for name in first}
    missing = script(*common, "--only", "sinusoid_5shot_maml")
    assert (missing.returncode, "step5: there is no paper-scale result to judge" in missing.stdout) == (1, True)
    assert script(*common, "--only", MAML).returncode == 0  # and not step 10, whose id begins alike
    claim = script(*common, "--only", "order_table2")
    assert (claim.returncode, "order_table2: there is no paper-scale result" in claim.stdout) == (1, True)
    unknown = script(*common, "--only", "nothing")
    assert (unknown.returncode, "--only nothing: no id of targets.yaml begins so" in unknown.stderr) == (2, True)
    write_result(result({MAML: 9.0}), tmp_path)
    bad = script(*common)
    assert (bad.returncode, f"FAIL: {MAML}" in bad.stdout) == (1, True)
    (tmp_path / "sinusoid_maml.json").write_text("{")
    broken = script(*common)
    assert (broken.returncode, "sinusoid_maml.json: not valid JSON" in broken.stderr) == (2, True)
    assert "Traceback" not in unknown.stderr + broken.stderr
