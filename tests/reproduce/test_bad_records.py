"""Bad results, targets, known failures and gates: the comparison names file, key and value, and exits with its code."""

import json
import sys

import pytest
from bad_inputs import assert_refused, listing, put, result

from maml_tf import cli
from reproduce import compare

CASES = {
    "no results": (lambda folder: ["--published", folder], 1, r"the published results judge 0 targets"),
    "a folder of results that is missing": (
        lambda folder: ["--published", folder / "none"],
        2,
        r"there is no such folder of results",
    ),
    "a forged mean": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "mean", value=0.0)),
        2,
        r"targets.sinusoid_5shot_oracle_curve.mean: 0.0 is not the mean of per_seed",
    ),
    "a forged target with its seeds": (
        result(lambda r: r["targets"]["sinusoid_5shot_oracle_curve"].update(mean=0.0, per_seed=[0.0, 0.0, 0.0])),
        2,
        r"sinusoid_oracle.json: targets.sinusoid_5shot_oracle_curve",
    ),
    "an error of -1e300": (
        result(lambda r: r["curves"]["5_shot"].update(mean=[-1e300] * 11, per_seed=[[-1e300] * 11] * 3)),
        2,
        r"sinusoid_oracle.json: curves.5_shot",
    ),
    "no tasks": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "n_tasks", value=-600)),
        2,
        r"n_tasks: -600 is not allowed",
    ),
    "fewer tasks than the spec tests": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "n_tasks", value=6)),
        2,
        r"n_tasks: 6 is not allowed; the spec sinusoid_oracle tests 600 tasks",
    ),
    "a negative interval": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "ci95", value=-1.0)),
        2,
        r"ci95: -1.0 is not allowed",
    ),
    "a result with the same seed twice": (result(lambda r: put(r, "seeds", value=[1, 1, 1])), 2, r"seeds: \[1, 1, 1\]"),
    "a curve that is missing": (
        result(lambda r: put(r, "curves", value={})),
        2,
        r"sinusoid_oracle.json: targets.sinusoid_5shot_oracle_curve",
    ),
    "a result cut short": (result(lambda r: json.dumps(r)[:500]), 2, r"sinusoid_oracle.json: not valid JSON"),
    "a result's key twice": (
        result(lambda r: json.dumps(r)[:-1] + ', "targets": {}}'),
        2,
        r"sinusoid_oracle.json: not valid JSON: the key 'targets' is given twice",
    ),
    "a result that is nested too deeply": (result(lambda r: "[" * 100_000), 2, r"JSON: it is nested too deeply"),
    "a negative time": (result(lambda r: put(r, "wall_seconds", value=-5.0)), 2, r"wall_seconds: -5.0 is not allowed"),
    "a result of other seeds": (
        result(lambda r: put(r, "seeds", value=[7, 8, 9])),
        2,
        r"seeds: \[7, 8, 9\] is not all",
    ),
    "a result with NaN": (result(lambda r: '{"spec": NaN}'), 2, r"NaN is not a number"),
    "a result that is not UTF-8": (result(lambda r: b"\xff"), 2, r"sinusoid_oracle.json: not valid JSON"),
    "a target twice": (
        listing("--targets", "targets.yaml", "claims:", "claims:\nclaims:"),
        2,
        r"(?s)targets.yaml: not valid YAML: .*'claims' is given twice",
    ),
    "a negative tolerance": (
        listing("--targets", "targets.yaml", "value: 2.6", "value: -2.6"),
        2,
        r"value: -2.6 is not",
    ),
    "a negative number of tasks": (
        listing("--targets", "targets.yaml", "n_tasks: 600", "n_tasks: -600"),
        2,
        r"setting.n_tasks: -600 is not allowed",
    ),
    "a negative interval of the paper": (
        listing("--targets", "targets.yaml", "paper_ci95: 1.84", "paper_ci95: -1.84"),
        2,
        r"paper_ci95: -1.84 is not allowed",
    ),
    "a known failure of nothing": (
        listing("--known-failures", "known_failures.yaml", "id: order_table2", "id: order_table9"),
        2,
        r"order_table9: targets.yaml has no such id",
    ),
    "a gate below 0": (listing("--gate", "gate.yaml", "claims: ", "claims: -"), 2, r"expected whole numbers from 0"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_record_ends_the_comparison_with_a_message(name, tmp_path, capsys, monkeypatch):
    make, code, message = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, make(tmp_path)), "--runs", str(tmp_path / "runs")])

    def run():
        with cli.exit_codes():
            sys.exit(compare.main())

    assert_refused(run, code, message, capsys)
