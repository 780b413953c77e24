"""What reaches learner and tasks of every classification cell is what PROTOCOL 1.3 and 2.2 to 2.7 say.

The numbers stand here a second time, taken from the protocol and not from the specs, so that neither a changed key nor
one that is read and then dropped on its way goes unseen.
"""

import dataclasses
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_images
from synthetic_data import FEW_IMAGES, write_mini_imagenet, write_omniglot

from maml_tf.experiments.run import build_experiment, train
from maml_tf.experiments.spec import read_spec

SPECS = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs"
SIDE = 20  # pixels of a mini-ImageNet image, in place of 84


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A column of PROTOCOL 2.5 or 2.6."""

    ways: int
    step_size: float
    steps: int
    steps_at_test: int
    batch_size: int
    clip: float | None
    train_queries: int | None  # None: K
    rotations: bool


OMNIGLOT_5WAY = Protocol(5, 0.4, 1, 3, 32, None, None, True)
OMNIGLOT_20WAY = Protocol(20, 0.1, 5, 5, 16, None, None, True)
MINI_IMAGENET_1SHOT = Protocol(5, 0.01, 5, 10, 4, 10.0, 15, False)
MINI_IMAGENET_5SHOT = dataclasses.replace(MINI_IMAGENET_1SHOT, batch_size=2)

CELLS = {
    "omniglot_5way_{K}shot_conv": (OMNIGLOT_5WAY, OMNIGLOT_5WAY),
    "omniglot_5way_{K}shot_nonconv": (OMNIGLOT_5WAY, OMNIGLOT_5WAY),
    "omniglot_20way_{K}shot_conv": (OMNIGLOT_20WAY, OMNIGLOT_20WAY),
    "omniglot_5way_{K}shot_context_vector": (OMNIGLOT_5WAY, OMNIGLOT_5WAY),
    "miniimagenet_5way_{K}shot_maml": (MINI_IMAGENET_1SHOT, MINI_IMAGENET_5SHOT),
    "miniimagenet_5way_{K}shot_maml_first_order": (MINI_IMAGENET_1SHOT, MINI_IMAGENET_5SHOT),
}
EVERY_CELL = [
    pytest.param(name.format(K=K), K, protocol, id=name.format(K=K))
    for name, protocols in CELLS.items()
    for K, protocol in zip((1, 5), protocols, strict=True)
]


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """Images that tell class, split and member apart, with a mark in one corner that a rotation moves."""
    folder = tmp_path_factory.mktemp("prepared")

    def noise(split, classes):
        return np.random.default_rng(len(split)).integers(0, 256, (classes, FEW_IMAGES, SIDE, SIDE, 3), np.uint8)

    write_mini_imagenet(folder, noise)
    images = np.zeros((1623, 20, 28, 28, 1), np.uint8)
    images[:, :, :4, :4] = 255
    write_omniglot(folder, images)
    return folder


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    small_images(monkeypatch, FEW_IMAGES, SIDE)


def built(name, data_folder):
    spec = read_spec(SPECS / f"{name}.yaml")
    return spec, build_experiment(spec, 1, data_folder)


@pytest.mark.parametrize(("name", "K", "protocol"), EVERY_CELL)
def test_learner_loss_and_schedule(name, K, protocol, data_folder):
    spec, experiment = built(name, data_folder)
    learner, N = experiment.learner, protocol.ways
    assert (learner.step_size, learner.num_steps) == (protocol.step_size, protocol.steps)
    assert learner.first_order == name.endswith("first_order")
    assert spec.meta.batch_size == protocol.batch_size
    assert (spec.meta.iterations, spec.meta.learning_rate) == (60000, 0.001)
    assert {answer.step for answer in spec.targets.values()} == {protocol.steps_at_test}
    assert (spec.evaluation.tasks, spec.evaluation.steps) == (600, 10)

    # The loss of K images a class is N times the mean cross-entropy: an even guess costs log N.
    queries = protocol.train_queries or K
    for images, multiple in ((N * K, N), (N * queries, N * queries / K)):
        guessed = learner.loss(tf.zeros([images], tf.int32), tf.zeros([images, N]))
        np.testing.assert_allclose(guessed, multiple * math.log(N), rtol=1e-6)

    moved = {
        v.name for v, adapts in zip(experiment.model.trainable_variables, learner.adaptable, strict=True) if adapts
    }
    assert moved == ({"context"} if "context_vector" in name else {"kernel", "bias"})

    batch = experiment.tasks.sample(tf.constant([1, 2]), 1)
    assert (batch.support_x.shape[1], batch.query_x.shape[1]) == (N * K, N * queries)


@pytest.mark.parametrize(("name", "K", "protocol"), EVERY_CELL)
def test_images_rotations_and_steps_of_every_split(name, K, protocol, data_folder, monkeypatch):
    evaluated = []

    class Recorded:
        def __init__(self, learner, episodes, score, *, num_steps, **_):
            evaluated.append((episodes, num_steps))

    monkeypatch.setattr("maml_tf.experiments.few_shot.Evaluation", Recorded)
    _, experiment = built(name, data_folder)
    (test, test_steps), (validation, validation_steps) = evaluated
    queries = protocol.train_queries or K
    assert (test.ways, test.shots, test.queries, test_steps) == (protocol.ways, K, K, 10)
    assert (validation.ways, validation.shots, validation.queries) == (protocol.ways, K, queries)
    assert validation_steps == protocol.steps_at_test
    for episodes, split in ((test, "test"), (validation, "validation"), (experiment.tasks, "train")):
        assert episodes.rotations == protocol.rotations, split
        assert episodes.class_images.num_classes == len(experiment.classes[split].images)


@pytest.mark.parametrize(("name", "K", "protocol"), EVERY_CELL)
def test_the_clip_and_the_batch_reach_the_training_loop(name, K, protocol, data_folder, tmp_path, monkeypatch):
    class LoopReachedError(Exception):
        pass

    def loop(learner, tasks, optimizer, *, batch_size, gradient_clip, **_):
        raise LoopReachedError(batch_size, gradient_clip, optimizer.learning_rate)

    monkeypatch.setattr("maml_tf.training.train.compiled_loop", loop)
    with pytest.raises(LoopReachedError) as reached:
        train(read_spec(SPECS / f"{name}.yaml"), 1, runs_folder=tmp_path, data_folder=data_folder)
    assert reached.value.args == (protocol.batch_size, protocol.clip, 0.001)
