"""The data belongs to a training's identity: other data is refused at resume, at reuse and at test."""

import dataclasses
import hashlib

import numpy as np
import pytest
import small_experiment
from small_experiment import IMPLEMENTATION, SmallExperiment, small_spec
from synthetic_data import FEW_IMAGES, write_mini_imagenet, write_omniglot

from maml_tf.errors import UsageError
from maml_tf.experiments import provenance, run
from maml_tf.experiments.few_shot import FewShotExperiment
from maml_tf.experiments.few_shot_spec import FewShotSpec
from maml_tf.experiments.partial import evaluate_partial
from maml_tf.experiments.run import run_directory_of, train, train_and_evaluate
from maml_tf.experiments.spec import read_spec
from maml_tf.experiments.supervised import SupervisedExperiment
from maml_tf.tasks import mini_imagenet
from maml_tf.tasks.image_set import ImageSet, hashes_of
from maml_tf.training.checkpoint import RunDirectory

SPEC = small_spec(seeds=(1,))
pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def data(monkeypatch):
    """The hash of the data, which a test may change."""
    hashes = {"images": "a" * 64}
    monkeypatch.setattr(FewShotSpec, "implementation", IMPLEMENTATION)
    monkeypatch.setattr(SmallExperiment, "data_hashes", staticmethod(lambda spec, folder: dict(hashes)))
    for module in (run, provenance):  # a result is taken as it is where the same clean commit measured it
        monkeypatch.setattr(module, "git_commit", lambda: "0" * 40)
    return hashes


def options_for(folder):
    return {f"{kind}_folder": folder / kind for kind in ("runs", "data", "results")} | {"command": "a test"}


def test_a_training_is_not_resumed_or_reused_on_other_data(tmp_path, data, monkeypatch):
    options = options_for(tmp_path)
    done = train_and_evaluate(SPEC, **options)
    assert train_and_evaluate(SPEC, **options) == done  # taken as it is
    assert run_directory_of(SPEC, 1, tmp_path / "runs").read().data == data
    data["images"] = "b" * 64
    for again in (lambda: train_and_evaluate(SPEC, **options), lambda: evaluate_partial(SPEC, **options)):
        with pytest.raises(UsageError, match=r"other data: the SHA-256 of images was a{64}, now it is b{64}"):
            again()
    train(SPEC, 1, runs_folder=tmp_path / "runs", data_folder=None, restart=True)
    assert run_directory_of(SPEC, 1, tmp_path / "runs").read().data == data


def test_an_unfinished_training_is_not_continued_on_other_data(tmp_path, data, monkeypatch):
    write = RunDirectory.write

    def killed(self, saved):
        write(self, saved)
        if saved.iteration == 4 and not saved.validation_due:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            train(SPEC, 1, runs_folder=tmp_path, data_folder=None)
    other = {"images": "b" * 64}
    with monkeypatch.context() as patch:
        patch.setattr(SmallExperiment, "data_hashes", staticmethod(lambda spec, folder: other))
        with pytest.raises(UsageError, match="trained on other data"):
            train(SPEC, 1, runs_folder=tmp_path, data_folder=None, options=run.TrainingOptions(resume=True))
    resumed = train(SPEC, 1, runs_folder=tmp_path, data_folder=None, options=run.TrainingOptions(resume=True))
    assert resumed.checkpoint.iteration == 6


def test_a_result_of_other_data_is_not_reused(tmp_path, data):
    options = options_for(tmp_path)
    done = train_and_evaluate(SPEC, **options)
    of_other_data = dataclasses.replace(done, data={"sha256": "c" * 64})
    run.write_result(of_other_data, run.tested_folder(SPEC, tmp_path / "runs"))
    with pytest.raises(UsageError, match=r"its result is of other data: its SHA-256 is c{64}"):
        train_and_evaluate(SPEC, **options)


def test_the_hashes_of_the_data_sets_are_those_of_their_manifests(tmp_path, monkeypatch):
    write_omniglot(tmp_path, np.zeros((1623, 20, 28, 28, 1), np.uint8))
    omniglot = read_spec(small_experiment.SPECS / "omniglot_5way_1shot_conv.yaml")
    assert list(FewShotExperiment.data_hashes(omniglot, tmp_path)) == ["omniglot"]
    monkeypatch.setattr(mini_imagenet, "IMAGES_PER_CLASS", FEW_IMAGES)
    write_mini_imagenet(tmp_path, lambda _, classes: np.zeros((classes, FEW_IMAGES, 84, 84, 3), np.uint8))
    baselines = read_spec(small_experiment.SPECS / "miniimagenet_5way_baselines.yaml")
    hashes = SupervisedExperiment.data_hashes(baselines, tmp_path)
    assert list(hashes) == list(mini_imagenet.NAMES.values())
    assert all(len(digest) == 64 for digest in hashes.values())


def test_the_hash_is_that_of_the_images_which_the_experiment_has_loaded(tmp_path, data, monkeypatch):
    """The data set is read once, so that it cannot change between the hash and the training."""
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2, 1)
    loaded = ImageSet(images, ("a", "b"), {"name": "mine"})
    monkeypatch.setattr(SmallExperiment, "classes", {"train": loaded})
    monkeypatch.setattr(SmallExperiment, "data_hashes", None)
    monkeypatch.setattr(SmallExperiment, "train", lambda self, run_dir, options: dict(run_dir.data))
    done = train(SPEC, 1, runs_folder=tmp_path, data_folder=None)
    assert done.checkpoint == {"mine": hashlib.sha256(images).hexdigest()}


def test_classes_of_unequal_size_have_a_hash():
    def hash_of(*classes):
        return hashes_of({"train": ImageSet(list(classes), ("a", "b"), {})})["train"]

    few, more = np.zeros((1, 2, 2, 1), np.uint8), np.zeros((3, 2, 2, 1), np.uint8)
    assert len({hash_of(few, more), hash_of(more, few), hash_of(more, more + 1), hash_of(few, few)}) == 4
    assert hash_of(few, more) == hash_of(few.copy(), more.copy())


def test_an_unforeseen_error_says_where_the_state_is(tmp_path, data, monkeypatch):
    def broken(self, params):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(SmallExperiment, "validate", broken)
    with pytest.raises(RuntimeError, match="unforeseen") as told:
        train(SPEC, 1, runs_folder=tmp_path, data_folder=None)
    assert "the last saved state is in" in told.value.__notes__[0]
