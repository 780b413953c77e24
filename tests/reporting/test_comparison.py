"""Verdicts, claims and the gate."""

import dataclasses
import json
import math
import pathlib
import subprocess
import sys

import pytest

from maml_tf.errors import UsageError
from maml_tf.reporting import comparison as c
from maml_tf.reporting.claims import CLAIMS
from maml_tf.reporting.results import Curve, Result, TargetValue, read_result, read_results, write_result
from maml_tf.reporting.tables import as_json, markdown_table, summary, text_table
from maml_tf.reporting.targets import read_targets

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
    assert row(reduced, MAML).detail == "cpu: 100 of 70000 iterations"
    assert row(compare(result({MAML: 9.0}, iterations_done=69999)), MAML).verdict == c.REDUCED
    assert row(compare(), MAML).verdict == c.NOT_RUN
    assert row(compare(), "miniimagenet_5way_1shot_matching_nets").verdict == c.CITATION
    assert reduced.gate() == (0, [])


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
    assert gap.verdict == c.PASS
    assert row(compare(arms), f"{task}_gap_closed_step2").verdict == c.NOT_RUN


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


def test_order_of_table_2():
    names = ("maml", "pretrained", "multitask_reg_to_mean", "multitask_no_reg", "multitask_l2_reg")
    values = {f"sinusoid_5shot_{n}_step{s}": float(i) for i, n in enumerate(names, 1) for s in (1, 5, 10)}
    assert row(compare(result(values)), "order_table2").verdict == c.PASS
    values["sinusoid_5shot_maml_step10"] = 2.5
    assert row(compare(result(values)), "order_table2").verdict == c.MISS


def test_the_gate():
    miss = c.KnownMiss(id=MAML, cause="one diverges", tried="all", since="2026-11-20")
    code, messages = compare(result({MAML: 9.0})).gate()
    assert code == 1
    assert messages == [f"{MAML}: outside its tolerance and not in the list of known misses. 0 of 2 seeds inside"]
    assert compare(result({MAML: 9.0}), known=[miss]).gate() == (0, [])
    assert compare(result({MAML: 0.6}), known=[miss]).gate() == (
        1,
        [f"{MAML}: holds again; take it from the list of known misses"],
    )
    assert compare(known=[miss]).gate() == (0, [])


def test_tables_show_what_was_found():
    judged = compare(result({MAML: 9.0, PRETRAINED: 2.5}), known=[c.KnownMiss(MAML, "one diverges", "all", "today")])
    text, markdown = text_table(judged), markdown_table(judged, skip=(c.NOT_RUN, c.CITATION))
    assert "0.67" in text
    assert "**MISS** (known)" in markdown
    assert "* **sinusoid_5shot_maml_step1**: one diverges Tried: all" in markdown
    assert "matching_nets" in text
    assert "matching_nets" not in markdown
    assert "1 miss" in summary(judged)
    assert "1 pass" in summary(judged)
    assert json.dumps(as_json(judged)) == json.dumps(
        as_json(
            compare(result({MAML: 9.0, PRETRAINED: 2.5}), known=[c.KnownMiss(MAML, "one diverges", "all", "today")])
        )
    )
    assert "diverged" in text_table(compare(result({MAML: math.inf})))


def test_results_round_trip_with_divergence_and_are_checked(tmp_path):
    original = result({MAML: math.inf}, curves={"5_shot": curve(1.0, math.inf)})
    path = write_result(original, tmp_path)
    assert path == tmp_path / "sinusoid_maml.json"
    assert read_result(path) == original
    reduced = write_result(dataclasses.replace(original, profile="cpu"), tmp_path)
    assert reduced == tmp_path / "reduced" / "sinusoid_maml.json"
    assert read_results(tmp_path)["sinusoid_maml"].profile == "paper"
    mapping = json.loads(path.read_text())
    for change, message in (
        ({"seeds": "all"}, r"sinusoid_maml.json: seeds: 'all' is not allowed; expected a list of a whole number"),
        ({"extra": 1}, r"unknown key 'extra'; allowed are spec, profile"),
        ({"seeds": [1]}, r"targets.sinusoid_5shot_maml_step1.per_seed: 2 values for 1 seeds"),
    ):
        path.write_text(json.dumps(mapping | change))
        with pytest.raises(UsageError, match=message):
            read_result(path)
    path.write_text(json.dumps(mapping).replace('"wall_seconds": 1.5', '"wall_seconds": NaN'))
    with pytest.raises(UsageError, match="not valid JSON: NaN is not a number"):
        read_result(path)


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
    ],
)
def test_a_wrong_targets_file_is_an_error_that_names_the_place(tmp_path, old, new, message):
    text = (ROOT / "reproduce" / "targets.yaml").read_text()
    assert old in text
    (tmp_path / "targets.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError, match=message):
        read_targets(tmp_path / "targets.yaml")


def test_known_misses_are_checked(tmp_path):
    path = tmp_path / "known.yaml"
    path.write_text("- {id: nothing, cause: a, tried: b, since: c}")
    with pytest.raises(UsageError, match=r"known.yaml: nothing: targets.yaml has no such id"):
        c.read_known_misses(path, TARGETS)
    path.write_text(f"- {{id: {MAML}, cause: a}}")
    with pytest.raises(UsageError, match=r"known.yaml: \[0\]: the key 'tried' is missing"):
        c.read_known_misses(path, TARGETS)
    assert c.read_known_misses(ROOT / "reproduce" / "known_misses.yaml", TARGETS) is not None


def test_a_result_for_an_unknown_target_is_an_error():
    with pytest.raises(UsageError, match=r"'nothing' is no id of targets.yaml"):
        compare(result({"nothing": 1.0}))


def script(*arguments):
    command = [sys.executable, "reproduce/compare.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_exit_codes_of_the_script(tmp_path):
    (tmp_path / "known.yaml").write_text("[]")
    common = ("--results", tmp_path, "--known-misses", tmp_path / "known.yaml")
    write_result(result({MAML: 0.6}), tmp_path)
    good = script(*common)
    assert good.returncode == 0, good.stderr
    first = {name: (tmp_path / name).read_text() for name in ("comparison.md", "comparison.json")}
    assert script(*common).returncode == 0
    assert first == {name: (tmp_path / name).read_text() for name in first}
    missing = script(*common, "--only", "sinusoid_5shot_maml")
    assert (missing.returncode, "step5: there is no paper-scale result to judge" in missing.stdout) == (1, True)
    unknown = script(*common, "--only", "nothing")
    assert (unknown.returncode, "--only nothing: no id of targets.yaml begins so" in unknown.stderr) == (2, True)
    write_result(result({MAML: 9.0}), tmp_path)
    bad = script(*common)
    assert (bad.returncode, f"FAIL: {MAML}" in bad.stdout) == (1, True)
    (tmp_path / "sinusoid_maml.json").write_text("{")
    broken = script(*common)
    assert (broken.returncode, "sinusoid_maml.json: not valid JSON" in broken.stderr) == (2, True)
    assert "Traceback" not in unknown.stderr + broken.stderr
