"""Trained weights become a ready learner, or the message says where to get them."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers import REPRODUCE, SPECS, smoke_spec

import maml_tf as mt
from maml_tf.errors import UsageError
from maml_tf.experiments import load
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.results import read_result
from maml_tf.training.weights import write_weights

pytestmark = pytest.mark.usefixtures("eagerly")


def test_the_published_sinusoid_adapts_as_its_result_says():
    learner = mt.load("sinusoid_maml")
    result = json.loads((REPRODUCE / "results" / "sinusoid_maml.json").read_text())
    tasks = mt.tasks.SinusoidTasks(10, 10)  # scored by the learner's loss, the mean squared error
    scores = mt.evaluate(learner, tasks, num_tasks=600, num_steps=1, eval_batch_size=600)
    np.testing.assert_allclose(scores.mean[1], result["curves"]["10_shot"]["per_seed"][0][1], rtol=1e-3)
    second = mt.load("sinusoid_maml/seed_2")
    assert not np.array_equal(second.initial_params()[0], learner.initial_params()[0])


@pytest.mark.parametrize("name", ["omniglot_5way_1shot_nonconv", "point_navigation_maml"])
def test_classifiers_and_policies_load_without_data(name):
    learner = mt.load(name)
    with np.load(REPRODUCE / "checkpoints" / name / "seed_1.npz") as weights:
        assert list(weights) == learner.param_names
        for p, key in zip(learner.initial_params(), weights, strict=True):
            np.testing.assert_array_equal(p, weights[key])


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("omniglot-5way-1shot", "omniglot_5way_1shot_conv"),
        ("omniglot_5way_5shot", "omniglot_5way_5shot_nonconv"),
        ("omniglot-5way-1shot-nonconv/seed_2", "omniglot_5way_1shot_nonconv"),
        ("point-navigation", "point_navigation_maml"),
        ("sinusoid-maml", "sinusoid_maml"),
    ],
)
def test_published_weights_are_found_by_the_name_of_their_task(name, spec):
    card = mt.load(name).card
    assert card.name == spec
    assert card.seed == (2 if name.endswith("seed_2") else 1)


def test_published_weights_have_a_card():
    learner = mt.load("omniglot-5way-1shot")
    card, result = learner.card, read_result(REPRODUCE / "results" / "omniglot_5way_1shot_conv.json")
    assert card.iterations == result.iterations_done == 60000
    assert result.data["sha256"] in card.data
    assert card.split == "1100 classes for train, 100 classes for validation, 423 classes for test, drawn with seed 1"
    value = result.targets["omniglot_5way_1shot_conv_maml"]
    expected = f"{value.mean:.4g} ± {value.ci95:.2g} (query set after gradient step 3; 600 held-out tasks)"
    assert card.scores == {"omniglot_5way_1shot_conv_maml": expected}
    assert card.known_failures == {}
    assert card.licence == "MIT License, as the repository"
    file = REPRODUCE / "checkpoints" / card.name / "seed_1.npz"
    assert card.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(card).startswith("omniglot_5way_1shot_conv, seed 1, 60000 meta-iterations\ndata: name omniglot")
    x = np.zeros((5, 28, 28, 1), np.float32)
    assert learner.adapt(x, np.arange(5))(x).shape == (5, 5)


def test_a_card_says_what_is_known_to_fail():
    card = mt.load("omniglot-5way-5shot").card
    assert list(card.known_failures) == ["omniglot_5way_5shot_nonconv_maml"]
    assert "known failure omniglot_5way_5shot_nonconv_maml: " in str(card)
    assert "3 seeds" in card.scores["omniglot_5way_5shot_nonconv_maml"]


def test_weights_of_your_own_load_by_path(tmp_path):
    spec = smoke_spec("sinusoid_maml")
    learner = experiment_class(spec).build_learner(spec)
    params = [p + 1.0 for p in learner.initial_params()]
    path = tmp_path / "sinusoid_maml" / "seed_1.npz"
    write_weights(path, learner, params)
    shutil.copy(SPECS / "sinusoid_maml.yaml", tmp_path / "mine.yaml")
    for loaded in (mt.load(path), mt.load(path, spec=tmp_path / "mine.yaml")):
        for ours, theirs in zip(loaded.initial_params(), params, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert mt.load(path).card is None
    adapted = mt.load(path).adapt(tf.zeros([5, 1]), tf.zeros([5, 1]), num_steps=2)
    assert adapted(np.zeros((3, 1))).shape == (3, 1)


def test_what_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"sinusoid: there are no such weights in .*; there are those of ant_dir"):
        mt.load("sinusoid")
    with pytest.raises(UsageError, match="sinusoid_pretrained: its inner step size is tuned for each K of the test"):
        mt.load("sinusoid_pretrained")
    with pytest.raises(UsageError, match=r"absent\.yaml does not exist; pass the YAML file"):
        mt.load(tmp_path / "absent" / "seed_1.npz")
    with pytest.raises(UsageError, match=r"seed_1.npz: no weights can be read from it"):
        mt.load(tmp_path / "sinusoid_maml" / "seed_1.npz")
    with pytest.raises(UsageError, match=r"seed_1.npz: weights of another model"):
        mt.load(REPRODUCE / "checkpoints" / "sinusoid_oracle" / "seed_1.npz", SPECS / "sinusoid_maml.yaml")
    monkeypatch.setattr(load, "REPRODUCE", tmp_path)
    with pytest.raises(UsageError, match="are in the repository, not in the installed package: work in a clone of it"):
        mt.load("sinusoid_maml")
