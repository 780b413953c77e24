"""Calling a model with explicit weights, and the names of weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.functional import functional_call, weight_names, weights_of
from maml_tf.models.conv import OmniglotConv


@pytest.fixture
def model():
    return keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, name="first"), keras.layers.Dense(1, name="last")]
    )


def test_the_given_weights_take_the_place_of_the_models_own(model):
    x = tf.constant([[1.0, 2.0]])
    weights = [tf.ones([2, 3]), tf.zeros([3]), tf.ones([3, 1]), tf.constant([0.5])]
    np.testing.assert_allclose(functional_call(model, weights, x), [[9.5]])
    before = model(x)
    np.testing.assert_array_equal(functional_call(model, weights_of(model), x), before)
    np.testing.assert_array_equal(model(x), before)


def test_gradients_flow_through_the_given_weights(model):
    source = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(source)
        weights = [source * w for w in weights_of(model)]
        y = functional_call(model, weights, tf.ones([1, 2]))
    assert tape.gradient(y, source) is not None


def test_too_few_weights_are_an_error(model):
    with pytest.raises(ValueError, match="zip"):
        functional_call(model, weights_of(model)[:-1], tf.ones([1, 2]))


def test_weights_are_named_by_layer_and_variable(model):
    assert weight_names(model) == ["first/kernel", "first/bias", "last/kernel", "last/bias"]


def test_names_are_unique_where_layers_share_one():
    halves = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="dense")]) for _ in range(2)]
    names = weight_names(keras.Sequential(halves))
    assert names == ["dense/kernel", "dense/bias", "dense/kernel_2", "dense/bias_2"]


def test_names_do_not_depend_on_what_was_built_before():
    names = weight_names(OmniglotConv((28, 28, 1), 5, filters=2))
    assert names == weight_names(OmniglotConv((28, 28, 1), 5, filters=2))
    assert len(set(names)) == len(names)
    assert names[0] == "conv_1/kernel"
