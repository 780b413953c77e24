"""Every spec trains and is tested end to end at the smoke profile, on made-up images, those of mini-ImageNet small.

The specs run operation by operation, which is faster than to compile what runs once. As they are compiled, tests/pins
trains a spec of every experiment and method, and `make reproduce` trains and tests the sinusoid's.
"""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import fewer_tries, shorter_trajectories, small_images
from synthetic_data import FEW_IMAGES, write_mini_imagenet, write_omniglot

from maml_tf.errors import DataMissingError
from maml_tf.experiments import multi_task, sinusoid, supervised
from maml_tf.experiments.rl_spec import TrustRegionSpec
from maml_tf.experiments.run import build_experiment, evaluate, train
from maml_tf.experiments.sinusoid_spec import MultiTaskAveragingSpec
from maml_tf.experiments.spec import MetaSpec, read_spec
from maml_tf.models.layers import Conv2D, Dense
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from reproduce.comparison.targets import read_targets

REPRODUCE = pathlib.Path(__file__).resolve().parents[2] / "reproduce"
SPECS = sorted((REPRODUCE / "specs").glob("*.yaml"))
TARGET_IDS = {target.id for target in read_targets(REPRODUCE / "targets.yaml").entries}

pytestmark = pytest.mark.usefixtures("eagerly")
# These differ from the spec of their arm in the step sizes of the test alone: they are read and not run.
OTHER_STEPS = "_half_step"
HORIZON = 6  # time steps of locomotion and navigation; 100 and more in the paper
STEPS = 2  # gradient steps at test, at the most
SIDE = 16  # pixels of a mini-ImageNet image, in place of 84


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """An Omniglot of random strokes, and a mini-ImageNet of noise with fewer images a class."""
    folder = tmp_path_factory.mktemp("prepared")

    def noise(_, classes):
        return np.random.default_rng(1).integers(0, 256, (classes, FEW_IMAGES, SIDE, SIDE, 3), np.uint8)

    write_mini_imagenet(folder, noise)
    images = np.where(np.random.default_rng(0).random((1623, 20, 28, 28, 1), np.float32) < 0.1, 255, 0).astype(np.uint8)
    write_omniglot(folder, images)
    return folder


def with_fewer_steps(spec):
    """The spec with few tasks, iterations and filters, and few gradient steps at test, the last for later targets."""
    targets = {name: dataclasses.replace(answer, step=min(STEPS, answer.step)) for name, answer in spec.targets.items()}
    steps = max([1, *(answer.step for answer in targets.values())])
    evaluation = dataclasses.replace(spec.evaluation, steps=min(steps, spec.evaluation.steps), tasks=2)
    changed: dict = {"evaluation": evaluation, "targets": targets}
    meta = getattr(spec, "meta", None)
    if isinstance(meta, TrustRegionSpec):
        changed["meta"] = dataclasses.replace(meta, iterations=1, batch_size=1)
    elif isinstance(meta, MetaSpec):
        changed["meta"] = dataclasses.replace(meta, iterations=1, batch_size=min(2, meta.batch_size))
    if hasattr(spec.model, "filters"):
        changed["model"] = dataclasses.replace(spec.model, filters=4)
    if isinstance(spec, MultiTaskAveragingSpec):
        strengths = spec.multitask.strengths[:2]
        changed["multitask"] = dataclasses.replace(spec.multitask, max_steps=2, regressors=2, strengths=strengths)
    changed["inner"] = dataclasses.replace(spec.inner, train_steps=min(2, spec.inner.train_steps))
    if getattr(spec.inner, "step_grid", ()):
        changed["inner"] = dataclasses.replace(changed["inner"], step_grid=spec.inner.step_grid[:2])
    if getattr(spec, "validation", None) is not None:
        changed["validation"] = dataclasses.replace(spec.validation, tasks=2)
    return dataclasses.replace(spec, **changed)


def trained(spec, folder, data_folder):
    """The trained seeds of a spec, one after the other."""
    return (train(spec, seed, runs_folder=folder / "runs", data_folder=data_folder) for seed in spec.seeds)


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch):
    """Trajectories end after a few time steps, and what no spec says is small too."""
    shorter_trajectories(monkeypatch, HORIZON)
    monkeypatch.setattr(sinusoid, "CHECK_BLOCKS", 1)
    monkeypatch.setattr(multi_task, "PILOT_REGRESSORS", 1)
    fewer_tries(monkeypatch, 1)
    monkeypatch.setattr(supervised, "STATISTICS_BATCHES", 1)
    small_images(monkeypatch, FEW_IMAGES, SIDE)


def test_specs_that_are_not_run_differ_from_their_arm_in_the_step_sizes_of_the_test_alone():
    left_out = [path for path in SPECS if path.stem.endswith(OTHER_STEPS)]
    assert len(left_out) == 4
    for path in left_out:
        spec, arm = (read_spec(file, "smoke") for file in (path, path.with_stem(path.stem.removesuffix(OTHER_STEPS))))
        test = dataclasses.replace(
            arm.evaluation, step_size=spec.evaluation.step_size, later_factors=spec.evaluation.later_factors
        )
        assert spec == dataclasses.replace(arm, name=spec.name, evaluation=test, targets={})


@pytest.mark.parametrize("path", [p for p in SPECS if not p.stem.endswith(OTHER_STEPS)], ids=lambda path: path.stem)
def test_a_spec_runs_from_training_to_result(path, data_folder, tmp_path):
    spec = with_fewer_steps(read_spec(path, "smoke"))
    assert set(spec.targets) <= TARGET_IDS
    result = evaluate(spec, trained(spec, tmp_path, data_folder), command="a test", weights_folder=tmp_path / "weights")
    assert set(result.targets) == set(spec.targets)
    assert set(result.weights) == {f"{spec.name}/seed_{seed}.npz" for seed in spec.seeds}
    least = 0 if spec.method == "random" else 1  # which trains nothing
    assert least <= result.iterations_done <= result.iterations_asked
    for curve in result.curves.values():
        assert np.isfinite(curve.mean).all()
        assert len(curve.mean) == len(curve.grad_steps) == len(curve.per_seed[0])
    for target, answer in spec.targets.items():
        assert result.targets[target].mean == result.curves[answer.curve].mean[answer.step]


@pytest.mark.parametrize("name", ["miniimagenet_5way_baselines", "omniglot_5way_1shot_nonconv"])
def test_bfloat16_reaches_every_model(name, data_folder):
    spec = read_spec(REPRODUCE / "specs" / f"{name}.yaml", "smoke")
    spec = dataclasses.replace(spec, model=dataclasses.replace(spec.model, precision="bfloat16"))
    experiment = build_experiment(spec, 1, data_folder)
    models = [value for value in vars(experiment).values() if isinstance(value, keras.Model)]
    assert len(models) == (2 if spec.method == "supervised" else 1)
    for model in models:
        products = [layer for layer in model._flatten_layers() if isinstance(layer, Dense | Conv2D)]
        *hidden, output = [layer.compute_dtype for layer in products]
        assert set(hidden) == {"bfloat16"}
        assert output == "float32"  # the logits


UNCHOSEN = ("sinusoid_maml", "sinusoid_multitask_no_reg", "omniglot_5way_1shot_nonconv", "point_navigation_maml")


@pytest.mark.parametrize("name", UNCHOSEN)
def test_weights_that_nothing_chose_are_tested_once(name, data_folder):
    spec = with_fewer_steps(read_spec(REPRODUCE / "specs" / f"{name}.yaml", "smoke"))
    experiment = build_experiment(spec, 1, data_folder)
    params = [tf.convert_to_tensor(variable) for variable in experiment.model.trainable_variables]
    scores, settings = experiment.evaluate(Checkpoint(TrainingState.start(params)))
    assert set(scores) >= {answer.curve for answer in spec.targets.values()}
    assert not [curve for curve in scores if curve.endswith("_last_model")]
    assert "best_iteration" not in settings


@pytest.mark.parametrize("best_iteration", [3, 4])
def test_the_last_model_is_tested_too_but_once_where_it_is_the_best(best_iteration, data_folder, monkeypatch):
    spec = read_spec(REPRODUCE / "specs" / "omniglot_5way_1shot_nonconv.yaml", "smoke")
    experiment = build_experiment(spec, 1, data_folder)
    tested = []
    monkeypatch.setattr(experiment, "test_scores", lambda params: tested.append(params) or len(tested))
    state = TrainingState.start(experiment.learner.initial_params())._replace(iteration=4)
    best = state.params if best_iteration == 4 else [2 * p for p in state.params]
    scores, settings = experiment.evaluate(Checkpoint(state, best, 50.0, best_iteration))
    assert settings["best_iteration"] == best_iteration
    if best_iteration == 4:
        assert scores == {"1_shot": 1, "1_shot_last_model": 1}
    else:
        assert scores == {"1_shot": 1, "1_shot_last_model": 2}
        assert tested == [best, state.params]


@pytest.mark.parametrize("name", ["sinusoid_pretrained", "omniglot_5way_1shot_context_vector", "point_navigation_maml"])
def test_what_is_finished_is_taken_as_it_is(name, data_folder, tmp_path):
    spec = with_fewer_steps(read_spec(REPRODUCE / "specs" / f"{name}.yaml", "smoke"))
    once, again = (
        evaluate(spec, trained(spec, tmp_path, data_folder), command="a test", weights_folder=tmp_path / "weights")
        for _ in range(2)
    )
    assert again.curves == once.curves
    assert again.weights == once.weights


def test_missing_data_is_found_before_any_training(tmp_path):
    spec = read_spec(REPRODUCE / "specs" / "omniglot_5way_1shot_nonconv.yaml", "smoke")
    with pytest.raises(DataMissingError, match=r"omniglot.json is missing: `make data`"):
        train(spec, 1, runs_folder=tmp_path, data_folder=tmp_path)
    assert not RunDirectory(tmp_path / spec.name).path.exists()
