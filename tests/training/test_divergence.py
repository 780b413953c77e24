"""What is not finite is found, and labels that XLA turns into NaN are named."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.losses import cross_entropy_over_shots, mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch
from maml_tf.training.checkpoint import RunDirectory
from maml_tf.training.divergence import is_finite, label_problem, read_kept


def test_every_number_of_a_structure_is_looked_at():
    assert is_finite([tf.ones(2), {"a": 1.0}, np.array([3])])
    for bad in (math.nan, math.inf, -math.inf):
        assert not is_finite([tf.ones(2), {"a": tf.constant([1.0, bad])}])


def test_labels_out_of_range_are_named():
    keras.utils.set_random_seed(1)
    maml = MAML(MLP(2, (3,), 5), cross_entropy_over_shots(1), 0.01, 1)
    x, good, bad = tf.zeros([1, 5, 2]), tf.range(5)[tf.newaxis], tf.constant([[0, 1, 7, 3, 4]])
    params = maml.initial_params()
    assert label_problem(maml, params, TaskBatch(x, good, x, good)) == ""
    assert "query_y has the label 7, and the model has 5 outputs" in label_problem(
        maml, params, TaskBatch(x, good, x, bad)
    )
    assert label_problem(maml, params, None) == ""


@pytest.mark.parametrize("loss", [mean_squared_error, "mae", lambda y, p: tf.reduce_mean(tf.abs(y - p))], ids=str)
def test_whole_numbers_that_are_values_are_not_blamed(loss):
    maml = MAML(MLP(2, (3,), 1), loss, 0.01, 1)
    x, y = tf.zeros([1, 5, 2]), tf.constant([[[3], [-7], [0], [100], [2]]])
    assert label_problem(maml, maml.initial_params(), TaskBatch(x, y, x, y)) == ""


def test_a_training_that_did_not_diverge_has_nothing_to_replay(tmp_path):
    with pytest.raises(UsageError, match="no kept iteration can be read"):
        read_kept(RunDirectory(tmp_path))
