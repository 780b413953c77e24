"""TensorBoard scalars: written on request with their values and steps; TensorBoard is needed for nothing else."""

import sys

import keras
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.checkpoint import RunDirectory
from maml_tf.training.scalars import scalar_writer
from maml_tf.training.train import train

pytestmark = pytest.mark.usefixtures("eagerly", "checked_once")


def trained(run_dir=None, **options):
    keras.utils.set_random_seed(1)
    tasks, learner = SinusoidTasks(5, 5), MAML(MLP(1, (8,), 1), mean_squared_error, 0.01, 1)
    few = {"iterations": 4, "batch_size": 2, "num_validation_tasks": 2}
    return train(learner, tasks, validation_tasks=tasks, run_dir=run_dir, **few, **options)


@pytest.fixture
def no_tensorboard(monkeypatch):
    """As in an environment where TensorBoard is not installed."""
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError):
        import tensorboard  # noqa: F401


def test_a_training_writes_its_losses_and_validations_on_request(tmp_path):
    trained(tmp_path / "quiet")
    assert not list((tmp_path / "quiet").glob("events*"))
    checkpoint = trained(tmp_path / "logged", tensorboard=True)
    (file,) = (tmp_path / "logged").glob("events*")
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append([event.step, float(tf.make_ndarray(value.tensor))])
    for name, expected in (("meta_loss", checkpoint.losses), ("validation_score", checkpoint.validations)):
        assert [step for step, _ in found[name]] == [step for step, _ in expected]
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in expected], rel=1e-6)


def test_a_training_without_scalars_needs_no_tensorboard(no_tensorboard, tmp_path):
    assert trained().iteration == 4
    assert trained(tmp_path).iteration == 4


def test_scalars_without_tensorboard_are_an_error_before_the_training(no_tensorboard, tmp_path):
    with pytest.raises(UsageError, match="tensorboard: the package is not installed: pip install tensorboard"):
        trained(tmp_path, tensorboard=True)
    assert not list(tmp_path.glob("*.npz"))


def test_scalars_need_a_directory(tmp_path):
    with pytest.raises(UsageError, match="run_dir: tensorboard needs a directory"), scalar_writer(None, True):
        pass
    with scalar_writer(RunDirectory(tmp_path), False) as write:
        write({"x": 1.0}, 1)
    assert not list(tmp_path.iterdir())
