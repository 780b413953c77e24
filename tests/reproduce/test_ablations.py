"""The ways to test mini-ImageNet weights: each is right, and agrees whether tasks run one by one or vectorized."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_images
from synthetic_data import FEW_IMAGES, write_mini_imagenet

from maml_tf.experiments.run import build_experiment
from maml_tf.experiments.spec import read_spec
from maml_tf.meta.task_execution import vectorized_copy

REPRODUCE = pathlib.Path(__file__).resolve().parents[2] / "reproduce"
from reproduce.studies import ablations_miniimagenet as ablations  # noqa: E402

SIDE = 32  # pixels of an image, in place of 84


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """Classes that differ in colour, under noise."""
    folder, rng = tmp_path_factory.mktemp("prepared"), np.random.default_rng(1)

    def images_of(_, classes):
        colours = rng.uniform(60, 190, (classes, 1, 1, 1, 3))
        return np.clip(colours + rng.normal(0, 60, (classes, FEW_IMAGES, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)

    write_mini_imagenet(folder, images_of)
    return folder


@pytest.fixture
def built(data_folder, monkeypatch, eagerly):
    """built(cell): its experiment, small, and parameters for it."""
    small_images(monkeypatch, FEW_IMAGES, SIDE)
    monkeypatch.setattr(ablations, "STATISTICS_TASKS", 2)

    def of_cell(cell):
        small = {"evaluation.tasks": 2, "evaluation.steps": 1, "inner.train_steps": 1, "model.filters": 4}
        spec = read_spec(REPRODUCE / "specs" / f"{cell}.yaml", "smoke", small | {"targets": {}})
        experiment = build_experiment(spec, 1, data_folder)
        start = experiment.learner.initial_params()
        return experiment, [p + 0.2 * tf.random.stateless_normal(p.shape, (1, i)) for i, p in enumerate(start)]

    return of_cell


@pytest.mark.parametrize(("K", "others"), [(1, ["queries_5", "queries_15"]), (5, ["queries_1", "queries_15"])])
def test_the_protocol_has_as_many_queries_as_shots(K, others, built):
    variants = ablations.variants(*built(f"miniimagenet_5way_{K}shot_maml"))
    assert [name for name in variants if name.startswith("queries")] == others
    assert {name: queries for name, (queries, *_) in variants.items()} == {
        "protocol": K,
        **{name: int(name.removeprefix("queries_")) for name in others},
        "statistics_of_the_support_set": K,
        "running_statistics": K,
        "mean_inner_loss": K,
        "tasks_6000": K,
    }
    assert variants["mean_inner_loss"][2] == 1 / 5


def query_images(name):
    """Query images of a task of a variant."""
    return 5 * (int(name.removeprefix("queries_")) if name.startswith("queries_") else 1)


def test_weights_are_tested_in_every_way_one_by_one_and_vectorized(built):
    experiment, params = built(ablations.CELL)
    one_by_one = dict(ablations.scores_of(experiment, params))
    for name, scores in one_by_one.items():
        assert scores.shape == (20 if name == "tasks_6000" else 2, 2), name
        right = scores[:, 1:] * query_images(name) / 100
        np.testing.assert_allclose(right, np.round(right), atol=1e-4)  # a share of these images
    np.testing.assert_array_equal(one_by_one["tasks_6000"][:2], one_by_one["protocol"])

    experiment.learner = vectorized_copy(experiment.learner)
    for name, scores in ablations.scores_of(experiment, params):
        if name == "tasks_6000":
            break  # the last: the function of the protocol, for more tasks
        guesses = np.abs(one_by_one[name] - scores) * [5, query_images(name)] / 100  # of support and query images
        assert guesses.sum() < 1.5, name  # one at the edge may fall to the other side
