"""One job for each spec and seed, named by the spec's hash, and one that tests."""

import pathlib

import pytest
from helpers import SPECS

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import read_spec
from maml_tf.sweep.jobs import jobs_of

TRAIN = ("-m", "maml_tf", "train")


def read(name, profile="smoke"):
    path = SPECS / f"{name}.yaml"
    return path, read_spec(path, profile)


def test_jobs_are_named_by_the_spec_and_test_its_trained_seeds():
    path, spec = read("point_navigation_maml", "paper")
    one, two, three, test = jobs_of(
        [(path, spec)] * 2, options=["--profile", "paper"], runs_folder=pathlib.Path("runs")
    )
    assert one.name == f"point_navigation_maml-paper-{spec.hash}-seed_1"
    assert test.needs == (one.name, two.name, three.name)
    assert one.run_folder == pathlib.Path("runs", spec.run_folder(1)).absolute()
    assert one.log.name == "seed_1.log"
    assert one.iterations == spec.iterations
    assert one.command[1:] == (*TRAIN, str(path), "--seeds", "1", "--resume", "--train-only", "--profile", "paper")
    own = ("--results", "runs/results", "--weights", "runs/checkpoints")
    assert test.command[1:] == (*TRAIN, str(path), "--seeds", "1", "2", "3", "--resume", "--profile", "paper", *own)


def test_what_is_not_trained_is_only_tested():
    (test,) = jobs_of([read("point_navigation_random")], options=[], runs_folder=pathlib.Path("runs"))
    assert (test.needs, test.run_folder) == ((), None)


def test_two_specs_of_one_name_are_an_error():
    path, spec = read("sinusoid_maml")
    _, other = read("sinusoid_maml", "paper")
    with pytest.raises(UsageError, match="another spec has the name 'sinusoid_maml'"):
        jobs_of([(path, spec), (pathlib.Path("other/sinusoid_maml.yaml"), other)], options=[], runs_folder=path)
