"""Specs are read strictly; every error names file, key and what is allowed."""

import pathlib

import pytest
from helpers import run_python

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import PROFILES, read_spec

SPECS = sorted((pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs").glob("*.yaml"))
MAML, CONV = "sinusoid_maml", "omniglot_5way_1shot_conv"
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
        section = "multitask" if paper.method == "multitask" else "meta"
        assert getattr(paper, section) != getattr(smoke, section)
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
            r"changed.yaml: inner: unknown key 'step_sise'; allowed are train_steps, step_size",
        ),
        (
            "  step_size:",
            "  likelihood_ratio: true\n  step_size:",
            r"changed.yaml: inner: unknown key 'likelihood_ratio'; allowed are train_steps",
        ),
        (
            "evaluation:",
            "validation: {every: 1000, tasks: 600, steps: 5}\nevaluation:",
            r"changed.yaml: unknown key 'validation'; allowed are name, profile",
        ),
        (
            "  network: mlp",
            "  network: gaussian_policy",
            r"changed.yaml: model.network: 'gaussian_policy' is not allowed; expected one of 'mlp'",
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
        ("method: maml", "method: multitask", r"changed.yaml: unknown key 'meta'; allowed are .*, multitask"),
        ("experiment:", "experiment: [", r"changed.yaml: not valid YAML"),
    ],
)
def test_a_wrong_spec_is_an_error_that_names_the_key(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=message):
        read_spec(changed(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "method: maml",
            "method: supervised",
            r"method: 'supervised' is not allowed; expected one of 'maml', 'pretr",
        ),
        (
            "  trajectories: 20 ",
            "  trajectories: 0 ",
            r"tasks: trajectories: 0 is not allowed; expected a whole number f",
        ),
        ("gaussian_policy", "mlp", r"model.network: 'mlp' is not allowed; expected one of 'gaussian_policy'"),
        (
            "  hidden:",
            "  batch_norm: true\n  hidden:",
            r"model: unknown key 'batch_norm'; allowed are network, hid",
        ),
        (
            "  train_steps: 1",
            "  train_steps: 1\n  first_order: true",
            r"inner: unknown key 'first_order'; allowed are train_st",
        ),
        (
            "  train_steps: 1",
            "  train_steps: -1",
            r"inner: train_steps: -1 is not allowed; expected a whole number from 0",
        ),
        ("  step_size: 0.1 ", "  step_size: tuned ", r"inner.step_size: 'tuned' is not allowed; expected a number"),
        ("max_kl: 0.02", "max_kl: 0", r"meta: max_kl: 0.0 is not allowed; expected a number above 0"),
        ("  steps: 3", "  later_factors: []\n  steps: 3", r"evaluation: later_factors: \[\] is not allowed"),
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


@pytest.mark.parametrize(
    ("spec", "old", "new", "message"),
    [
        (
            "sinusoid_maml",
            "experiment: sinusoid",
            "experiment: cosine",
            r"experiment: 'cosine' is not allowed; .*'sinus",
        ),
        (MAML, "experiment: sinusoid", "", r"the key 'experiment' is missing; allowed are 'image_cl"),
        (MAML, "method: maml", "", r"the key 'method' is missing; allowed are 'maml', 'pretrained'"),
        (MAML, "method: maml", "method: maml\nname: mine", r"unknown key 'name': it is filled in"),
        (
            "sinusoid_maml",
            "method: maml",
            "method: maml\nimports: [absent_module]",
            r"'absent_module' cannot be import",
        ),
        (
            "sinusoid_maml",
            "method: maml",
            "method: maml\nimports: re",
            r"imports: 're' is not allowed; expected a list",
        ),
        (
            "sinusoid_pretrained",
            "  step_grid:",
            "  # step_grid:",
            r"inner: step_grid: needed where step_si",
        ),
        (
            "omniglot_5way_1shot_conv",
            "dataset: omniglot",
            "dataset: cifar",
            r"tasks.dataset: 'cifar' is not allowed; .*'om",
        ),
        (
            "omniglot_5way_1shot_conv",
            "dataset: omniglot",
            "",
            r"tasks: the key 'dataset' is missing; allowed are 'omnigl",
        ),
        (CONV, "dataset: omniglot", "dataset: mini_imagenet", r"tasks: unknown key 'split_seed'"),
        (
            "omniglot_5way_1shot_conv",
            "  filters:",
            "  hidden: [3]\n  filters:",
            r"model: unknown key 'hidden'; allow",
        ),
        (
            "omniglot_5way_1shot_conv",
            "  step_size:",
            "  adaptable: all\n  step_size:",
            r"inner: adaptable: 'all' is not allow",
        ),
        (
            "omniglot_5way_1shot_conv",
            "  step_size:",
            "  update: sgd\n  step_size:",
            r"inner: update: 'sgd' is not allowed",
        ),
        (
            "omniglot_5way_1shot_context_vector",
            "  context_size:",
            "  # size:",
            r"needs model.context_size",
        ),
    ],
)
def test_a_wrong_name_is_an_error_that_lists_the_allowed_ones(tmp_path, spec, old, new, message):
    with pytest.raises(UsageError, match=rf"changed.yaml: .*{message}|changed.yaml: {message}"):
        read_spec(changed(tmp_path, old, new, spec))


def test_specs_are_read_without_tensorflow():
    """A mistake in a spec is reported before TensorFlow is loaded."""
    code = (
        "import pathlib, sys; from maml_tf.experiments.spec import read_spec\n"
        "for path in pathlib.Path('reproduce/specs').glob('*.yaml'): read_spec(path)\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
