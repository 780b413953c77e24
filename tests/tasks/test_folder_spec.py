"""Own image files in a spec: `dataset: {folder: ...}`."""

import pathlib

import numpy as np
import pytest
import yaml
from helpers import SPECS
from PIL import Image

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import read_spec

SPEC = {
    "experiment": "image_classification",
    "method": "maml",
    "tasks": {"ways": 2, "shots": 1, "train_queries": 1, "test_queries": 1},
    "model": {"network": "mlp", "hidden": [4], "batch_norm": True},
    "inner": {"step_size": 0.4, "train_steps": 1},
    "meta": {"iterations": 1, "batch_size": 2, "learning_rate": 0.001},
    "evaluation": {"tasks": 4, "steps": 1},
    "seeds": [1],
    "targets": {},
}


@pytest.fixture
def folder(tmp_path):
    """Nine classes of two to four images."""
    for number in range(9):
        for image in range(2 + number % 3):
            path = tmp_path / "images" / f"class{number}" / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 5), 20 * number + image, np.uint8)).save(path)
    return tmp_path / "images"


def spec_of(tmp_path, dataset, **tasks):
    path = pathlib.Path(tmp_path) / "mine.yaml"
    path.write_text(yaml.safe_dump(SPEC | {"tasks": SPEC["tasks"] | {"dataset": dataset} | tasks}))
    return read_spec(path)


def test_a_spec_trains_on_a_folder(tmp_path, folder, eagerly):
    from maml_tf.experiments.few_shot import FewShotExperiment
    from maml_tf.training.checkpoint import RunDirectory

    spec = spec_of(tmp_path, {"folder": str(folder), "side": 4, "channels": 1, "split_seed": 0})
    experiment = FewShotExperiment(spec, 1, tmp_path / "prepared")
    assert {split: len(part.class_names) for split, part in experiment.classes.items()} == {
        "train": 6,
        "validation": 1,
        "test": 2,
    }
    batch = experiment.tasks.sample((1, 2), 3)
    assert batch.support_x.shape == (3, 2, 4, 4, 1)
    assert experiment.tasks.shuffle
    assert experiment.data["origin"] == "folder images: 27 files in 9 folders, 4x4x1"
    assert len(list((tmp_path / "prepared").glob("folder_images_*.npy"))) == 1

    from maml_tf.experiments.base import TrainingOptions

    checkpoint = experiment.train(RunDirectory(tmp_path / "run"), TrainingOptions())
    scores, _ = experiment.evaluate(checkpoint)
    assert scores["1_shot"].shape == (4, 2)


def test_the_supervised_baselines_train_on_classes_of_unequal_size(tmp_path, folder, monkeypatch, eagerly):
    from maml_tf.experiments import supervised
    from maml_tf.experiments.base import TrainingOptions
    from maml_tf.training.checkpoint import RunDirectory

    monkeypatch.setattr(supervised, "STATISTICS_BATCHES", 1)
    spec = yaml.safe_load((SPECS / "miniimagenet_5way_baselines.yaml").read_text())
    dataset = {"folder": str(folder), "side": 16, "split_seed": 0, "split": [0.5, 0.25, 0.25]}
    spec["tasks"] = {"dataset": dataset, "ways": 2, "shots": 1, "train_queries": 1, "test_queries": 1}
    spec["model"]["filters"] = 2
    spec["meta"] |= {"iterations": 1, "batch_size": 4}
    spec["inner"] |= {"step_grid": [0.1], "decay_grid": [1.0]}
    spec["validation"] = {"every": 1, "tasks": 2, "steps": 0}
    spec["evaluation"] = {"tasks": 2, "steps": 1, "shots": [1]}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(spec | {"targets": {}, "profiles": {}}))
    experiment = supervised.SupervisedExperiment(read_spec(path), 1, tmp_path / "prepared")
    assert isinstance(experiment.classes["train"].images, list)
    checkpoint = experiment.train(RunDirectory(tmp_path / "run"), TrainingOptions())
    scores, _ = experiment.evaluate(checkpoint)
    assert scores["1_shot_nearest_neighbour"].shape == (2, 1)


def test_defaults_and_three_folders(tmp_path, folder):
    tasks = spec_of(tmp_path, {"folder": str(folder)}).tasks
    assert tasks.image_shape == (84, 84, 3)
    for split, number in (("train", 0), ("val", 1), ("test", 2)):
        (folder.parent / "splits" / split).mkdir(parents=True)
        (folder / f"class{number}").rename(folder.parent / "splits" / split / f"class{number}")
    tasks = spec_of(tmp_path, {"folder": str(folder.parent / "splits"), "side": 4}).tasks
    splits = tasks.load(tmp_path / "prepared")
    assert [part.class_names for part in splits.values()] == [("class0",), ("class1",), ("class2",)]


def test_the_folder_decides_the_hash(tmp_path):
    one, same, other = (
        spec_of(tmp_path, {"folder": name, "split_seed": 1}).hash for name in ("images", "images", "pictures")
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"folder": "images", "sides": 4}, r"tasks.dataset: unknown key 'sides'; allowed are folder, side, channels"),
        ({"folder": "images", "side": 0}, "tasks.dataset: side: 0 is not allowed"),
        ({"folder": "images", "channels": 4}, "tasks.dataset.channels: 4 is not allowed; expected one of 1, 3"),
        ({"folder": "images", "split": [0.5, 0.5]}, r"split: \[0.5, 0.5\] is not allowed"),
        ({"folders": "images"}, r"tasks.dataset: .'folders': 'images'. is not allowed; expected one of 'omniglot'"),
        ({"omniglot": 1}, r"tasks.dataset: .'omniglot': 1. is not allowed"),
        ("folder", "tasks.dataset: a mapping with the keys folder, side"),
        ("imagenet", "tasks.dataset: 'imagenet' is not allowed; expected one of 'omniglot', 'mini_imagenet'"),
    ],
)
def test_a_wrong_key_is_named(tmp_path, dataset, message):
    with pytest.raises(UsageError, match=message):
        spec_of(tmp_path, dataset)
