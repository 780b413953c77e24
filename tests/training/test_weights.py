"""Weight files: parameters by name, checked when they are read."""

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
