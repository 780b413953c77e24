"""Specs are read strictly; every error names file, key and what is allowed."""

import pathlib

import pytest

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import PROFILES, read_spec

SPECS = sorted((pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs").glob("*.yaml"))
SINUSOID = next(path for path in SPECS if path.stem == "sinusoid_maml")


def changed(tmp_path, old, new, spec="sinusoid_maml"):
    text = next(path for path in SPECS if path.stem == spec).read_text()
    assert old in text
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_reads_under_paper_and_smoke(path):
    paper, smoke = read_spec(path), read_spec(path, "smoke")
    assert paper.name == path.stem
    assert paper.iterations_asked == smoke.iterations_asked
    assert paper.full_hash != smoke.full_hash
    if paper.method != "random":  # which trains nothing
        assert (paper.meta or paper.multitask) != (smoke.meta or smoke.multitask)
        assert paper.iterations_asked > 0
        assert paper.hash != smoke.hash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "method: maml",
            "method: mamml",
            r"changed.yaml: method: 'mamml' is not allowed; expected one of 'maml', 'pretr",
        ),
        (
            "  step_size:",
            "  step_sise:",
            r"changed.yaml: inner: unknown key 'step_sise'; allowed are step_size, train_steps",
        ),
        (
            "  step_size:",
            "  likelihood_ratio: true\n  step_size:",
            r"changed.yaml: inner.likelihood_ratio: allowed for reinforcement_learning only",
        ),
        (
            "evaluation:",
            "validation: {every: 1000, tasks: 600, steps: 5}\nevaluation:",
            r"changed.yaml: validation: allowed for image_classification only",
        ),
        (
            "  hidden: [40, 40]",
            "  precision: bfloat16\n  hidden: [40, 40]",
            r"changed.yaml: model.precision: other than 'float32' for image_classification only",
        ),
        (
            "  iterations: 70000",
            "  iterations: many",
            r"changed.yaml: meta.iterations: 'many' is not allowed; expected a whole",
        ),
        (
            "  iterations: 70000",
            "  iterations: 1.5",
            r"changed.yaml: meta.iterations: 1.5 is not allowed; expected a whole",
        ),
        (
            "  iterations: 70000",
            "  iterations: true",
            r"changed.yaml: meta.iterations: True is not allowed; expected a whole",
        ),
        (
            "  iterations: 70000",
            "  iterations: 0",
            r"changed.yaml: meta: iterations: 0 is not allowed; expected a whole number from 1",
        ),
        (
            "  tasks: 600",
            "  tasks: 900",
            r"changed.yaml: evaluation.tasks: 900 is not allowed; expected at most 600, or a multiple of it",
        ),
        (
            "{curve: 5_shot, step: 10}",
            "{curve: 5_shot, step: 11}",
            r"targets.\w+.step: 11 is not allowed; evaluation.steps says 0 to 10",
        ),
        ("  batch_size: 25", "  # none", r"changed.yaml: meta: the key 'batch_size' is missing"),
        (
            "hidden: [40, 40]",
            "hidden: 40",
            r"changed.yaml: model.hidden: 40 is not allowed; expected a list of a whole number",
        ),
        ("seeds: [1, 2, 3]", "seeds: [1, x]", r"changed.yaml: seeds\[1\]: 'x' is not allowed"),
        (
            "  smoke: {meta.iterations",
            "  smoke: {meta.iteration",
            r"changed.yaml: profiles: meta.iteration: the spec has no such key",
        ),
        ("  smoke:", "  smocke:", r"changed.yaml: profiles: a mapping with keys from cpu, smoke"),
        ("\nmeta:", "\nmultitask_:", r"changed.yaml: unknown key 'multitask_'; allowed are name, profile, experiment"),
        ("method: maml", "method: multitask", r"changed.yaml: the method 'multitask' needs a section 'multitask'"),
        ("experiment:", "experiment: [", r"changed.yaml: not valid YAML"),
    ],
)
def test_a_wrong_spec_is_an_error_that_names_the_key(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=message):
        read_spec(changed(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("method: maml", "method: supervised", r"method: 'supervised' is not allowed for reinforcement_learning"),
        (
            "  trajectories: 20 ",
            "  trajectories: 0 ",
            r"tasks.trajectories: 0 is not allowed; expected a whole number f",
        ),
        ("gaussian_policy", "mlp", r"model.network: 'mlp' is not allowed .*; expected 'gaussian_policy'"),
        ("  hidden:", "  batch_norm: true\n  hidden:", r"model.batch_norm: has no meaning for reinforcement_learning"),
        (
            "  train_steps: 1",
            "  train_steps: 1\n  first_order: true",
            r"inner.first_order: has no meaning for reinforc",
        ),
        (
            "  train_steps: 1",
            "  train_steps: -1",
            r"inner: train_steps: -1 is not allowed; expected a whole number from 0",
        ),
        ("  step_size: 0.1 ", "  step_size: tuned ", r"inner.step_size: 'tuned' is not allowed .*; expected a number"),
        ("max_kl: 0.02", "max_kl: 0", r"meta: max_kl: 0.0 is not allowed; expected a number above 0"),
        ("  steps: 3", "  later_factors: []\n  steps: 3", r"evaluation: later_factors: at least one is needed"),
    ],
)
def test_what_a_policys_training_would_pass_over_is_an_error(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=rf"changed.yaml: {message}"):
        read_spec(changed(tmp_path, old, new, "half_cheetah_direction_maml"))


def test_a_missing_file_and_an_unknown_profile_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"absent.yaml: cannot be read"):
        read_spec(tmp_path / "absent.yaml")
    with pytest.raises(UsageError, match=r"profile 'fast': allowed are paper, cpu, smoke"):
        read_spec(SINUSOID, "fast")
    with pytest.raises(UsageError, match=r"has no 'cpu'; it has paper, smoke"):
        read_spec(SINUSOID, "cpu")
    assert PROFILES == ("paper", "cpu", "smoke")


def test_the_hash_follows_what_the_training_depends_on_and_nothing_else(tmp_path):
    spec = read_spec(SINUSOID)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    same = read_spec(changed(tmp_path / "a", "seeds: [1, 2, 3]", "seeds: [7]"))
    other = read_spec(changed(tmp_path / "b", "step_size: 0.01", "step_size: 0.02"))
    assert same.full_hash != other.full_hash
    named = [s.hash for s in (same, other)]
    assert named[0] != named[1]
    assert read_spec(SINUSOID).hash == spec.hash
