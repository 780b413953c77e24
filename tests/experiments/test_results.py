"""Result files: written so that they can be read again, and checked when they are read."""

import dataclasses
import json
import math

import pytest
from made_results import MAML, curve, half_way, result

from maml_tf.errors import UsageError
from maml_tf.experiments.results import read_result, read_results, write_result


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
    partial = write_result(dataclasses.replace(original, profile="cpu"), tmp_path)
    assert partial == tmp_path / "partial" / "sinusoid_maml.json"
    assert read_results(tmp_path)["sinusoid_maml"].profile == "paper"
    mapping = json.loads(path.read_text())
    for change, message in (
        ({"seeds": "all"}, r"sinusoid_maml.json: seeds: 'all' is not allowed; expected a list of a whole number"),
        ({"extra": 1}, r"unknown key 'extra'; allowed are spec, profile"),
        ({"seeds": [1]}, r"targets.sinusoid_5shot_maml_step1.per_seed: 2 values for 1 seeds"),
        (
            {"seeds": [], "targets": {}, "curves": {}},
            r"seeds: \[\] is not allowed; expected different ones, at least one",
        ),
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


def test_a_paper_result_comes_before_the_half_way_mark_and_that_before_other_partial_results(tmp_path):
    partial = result({MAML: 9.0}, "cell", "partial", iterations_done=60000)
    half, whole = half_way({MAML: 0.6}, "cell"), result({MAML: 0.65}, "cell")
    for each, folder in ((partial, "partial"), (half, "half"), (whole, "")):
        assert write_result(each, tmp_path) == tmp_path / folder / "cell.json"
        assert read_results(tmp_path)["cell"] == each
