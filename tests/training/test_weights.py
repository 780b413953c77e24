"""Weight files: parameters by name, checked when they are read."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.inner_updates import InnerUpdate
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.training.weights import read_weights, write_weights


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_weights_are_written_by_name_and_checked_when_read(tmp_path):
    maml = MAML(MLP(1, (8,), 1), mean_squared_error, 0.01, 1)
    path = tmp_path / "weights.npz"
    write_weights(path, maml, maml.initial_params())
    for owner in (maml, MLP(1, (8,), 1)):  # a learner without added parameters and its model have the same
        assert equal(read_weights(path, owner), maml.initial_params())
    with np.load(path) as archive:
        assert sorted(archive.files) == ["dense_1/bias", "dense_1/kernel", "output/bias", "output/kernel"]
    with pytest.raises(
        UsageError, match=r"weights of another model: dense_1/bias has shape \(8,\), the model's is \(9,\)"
    ):
        read_weights(path, MLP(1, (9,), 1))
    with pytest.raises(UsageError, match=r"absent.npz: no weights can be read"):
        read_weights(tmp_path / "absent.npz", maml)
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(UsageError, match=r"empty.npz: no weights can be read"):
        read_weights(tmp_path / "empty.npz", maml)


class LearnedRate(InnerUpdate):
    def initial_params(self, weights, step_size):
        return {"rate": tf.constant(step_size)}

    def __call__(self, weights, gradients, own, step_size, step):
        (rate,) = own
        return [w if g is None else w - rate * g for w, g in zip(weights, gradients, strict=True)]


def test_parameters_of_the_inner_update_are_written_and_read_too(tmp_path):
    learner = MAML(MLP(1, (8,), 1), mean_squared_error, 0.25, 1, inner_update=LearnedRate())
    params = [p + 1.0 for p in learner.initial_params()]
    write_weights(tmp_path / "weights.npz", learner, params)
    with np.load(tmp_path / "weights.npz") as archive:
        assert archive["rate"] == 1.25
    assert equal(read_weights(tmp_path / "weights.npz", learner), params)
    with pytest.raises(UsageError, match=r"rate has shape \(\), the model's is None"):
        read_weights(tmp_path / "weights.npz", learner.model)


def nested():
    def part(name):
        x = keras.Input((2,))
        return keras.Model(x, keras.layers.Dense(2, name="dense")(x), name=name)

    return keras.Sequential([keras.Input((2,)), part("a"), part("b"), keras.layers.Dense(1, name="dense")])


def test_layers_of_one_name_in_two_parts_are_kept_apart(tmp_path):
    model = nested()
    params = [tf.fill(v.shape, float(i)) for i, v in enumerate(model.trainable_variables)]
    write_weights(tmp_path / "weights.npz", model, params)
    with np.load(tmp_path / "weights.npz") as archive:
        assert archive.files == [f"{part}dense/{name}" for part in ("a/", "b/", "") for name in ("kernel", "bias")]
    assert equal(read_weights(tmp_path / "weights.npz", nested()), params)


def test_files_from_before_the_paths_are_read(tmp_path):
    """Layer and variable, with a number where they repeat."""
    model = nested()
    params = [np.full(v.shape, float(i), np.float32) for i, v in enumerate(model.trainable_variables)]
    names = [f"dense/{name}{number}" for number in ("", "_2", "_3") for name in ("kernel", "bias")]
    np.savez(tmp_path / "old.npz", **dict(zip(names, params, strict=True)))
    assert equal(read_weights(tmp_path / "old.npz", model), params)
    np.savez(tmp_path / "lost.npz", **dict(zip(names[:4], params[:4], strict=True)))
    with pytest.raises(UsageError, match="weights of another model"):
        read_weights(tmp_path / "lost.npz", model)


def test_two_weights_of_one_path_cannot_be_written(tmp_path):
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.layers_of_one_name = [keras.layers.Dense(2, name="dense") for _ in range(2)]

        def call(self, x):
            return self.layers_of_one_name[1](self.layers_of_one_name[0](x))

    model = Twins()
    model(np.zeros((1, 2), np.float32))
    with pytest.raises(UsageError, match="2 weights of the model have the path 'dense/kernel'"):
        write_weights(tmp_path / "weights.npz", model, [tf.convert_to_tensor(v) for v in model.trainable_variables])
    assert not list(tmp_path.iterdir())


def test_running_statistics_are_a_part_of_the_file(tmp_path):
    layers = [keras.layers.BatchNormalization(name="norm"), keras.layers.Dense(1, name="out")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    learner = MAML(model, mean_squared_error, 0.1, 1, batch_norm="running")
    params = [p + 1.0 for p in learner.initial_params()]
    write_weights(tmp_path / "weights.npz", learner, params)
    with np.load(tmp_path / "weights.npz") as archive:
        assert archive.files[:4] == ["norm/gamma", "norm/beta", "out/kernel", "out/bias"]
        assert archive.files[4:] == ["norm/moving_mean", "norm/moving_variance"]
    assert equal(read_weights(tmp_path / "weights.npz", learner), params)
