"""The authors' checkpoint format: a TensorFlow checkpoint with their names is read into our network."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.functional import weight_names
from maml_tf.models.authors_checkpoint import NAMES, RELEASED_SHA256, read_authors_checkpoint, values_sha256
from maml_tf.models.conv import MiniImagenetConv
from maml_tf.training.weights import as_params


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return MiniImagenetConv((84, 84, 3), 5)


def written(folder, model, leave_out=()):
    """The model's weights as a checkpoint of the authors' code: (its prefix, {name: array})."""
    weights = {name: np.asarray(v) for name, v in zip(weight_names(model), model.trainable_variables, strict=True)}
    names = [name for name in weights if name not in leave_out]
    tf.raw_ops.SaveV2(
        prefix=str(folder / "model7"),
        tensor_names=[NAMES[name][0] for name in names],
        shape_and_slices=[""] * len(names),
        tensors=[weights[name] for name in names],
    )
    return folder / "model7", weights


def test_a_tensorflow_checkpoint_and_an_npz_are_read_into_the_network(model, tmp_path):
    prefix, weights = written(tmp_path, model)
    np.savez(tmp_path / "copy.npz", **{NAMES[name][1]: array for name, array in weights.items()})
    for path in (prefix, tmp_path / "copy.npz"):
        params = as_params(read_authors_checkpoint(path), model, path)
        for variable, value in zip(model.trainable_variables, params, strict=True):
            np.testing.assert_array_equal(variable, value)


def test_the_checksum_goes_by_the_values(model, tmp_path):
    prefix, weights = written(tmp_path, model)
    assert values_sha256(read_authors_checkpoint(prefix)) == values_sha256(weights) != RELEASED_SHA256
    weights["output/bias"] = weights["output/bias"] + 1
    assert values_sha256(read_authors_checkpoint(prefix)) != values_sha256(weights)


def test_what_is_no_such_checkpoint_is_named(model, tmp_path):
    with pytest.raises(UsageError, match=r"nothing: not a checkpoint of the authors' network"):
        read_authors_checkpoint(tmp_path / "nothing")
    prefix, _ = written(tmp_path, model, leave_out=["norm_3/beta"])
    with pytest.raises(UsageError, match=r"model7: .*model/2/beta"):
        read_authors_checkpoint(prefix)
    for content in ("<html>not found</html>", ""):
        (tmp_path / "page.npz").write_text(content)
        with pytest.raises(UsageError, match=r"page.npz: not a checkpoint"):
            read_authors_checkpoint(tmp_path / "page.npz")
    np.savez(tmp_path / "other.npz", conv1=np.zeros(3))
    with pytest.raises(UsageError, match=r"other.npz: not a checkpoint .*conv2"):
        read_authors_checkpoint(tmp_path / "other.npz")
