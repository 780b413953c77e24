"""Calling a model with explicit weights, and the names of weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.functional import functional_call, weight_names, weights_of
from maml_tf.models.context_vector import WithContext
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
    def part(name):
        x = keras.Input((2,))
        return keras.Model(x, keras.layers.Dense(2, name="dense")(x), name=name)

    model = keras.Sequential([keras.Input((2,)), part("a"), part("b"), keras.layers.Dense(1, name="dense")])
    assert len({variable.path for variable in model.trainable_variables}) == 4  # Keras' own paths leave out the parts
    assert weight_names(model) == [f"{part}dense/{name}" for part in ("a/", "b/", "") for name in ("kernel", "bias")]


def test_the_name_is_the_whole_path_of_a_nested_weight():
    class Model(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.recurrent = [keras.layers.Bidirectional(keras.layers.LSTM(1, name="lstm"), name="both")]
            self.scale = self.add_weight(shape=(2,), name="scale")

        def call(self, x):
            return self.recurrent[0](x) * self.scale

    model = Model()
    model(np.zeros((1, 2, 3), np.float32))
    names = weight_names(model)
    assert names[0] == "mine/scale"
    assert names[1] == "both/forward_lstm/lstm_cell/kernel"
    assert len(set(names)) == 7


def test_two_weights_of_one_path_are_an_error():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = keras.layers.Dense(2, name="dense"), keras.layers.Dense(2, name="dense")

        def call(self, x):
            return self.second(self.first(x))

    model = Twins()
    model(np.zeros((1, 2), np.float32))
    with pytest.raises(UsageError, match="2 weights of the model have the path 'dense/kernel'"):
        weight_names(model)


def test_the_network_of_a_context_vector_keeps_its_names():
    network = OmniglotConv((28, 28, 2), 5, filters=2)
    assert weight_names(WithContext(network, (28, 28, 1), 1)) == ["with_context/context", *weight_names(network)]


def test_names_do_not_depend_on_what_was_built_before():
    names = weight_names(OmniglotConv((28, 28, 1), 5, filters=2))
    assert names == weight_names(OmniglotConv((28, 28, 1), 5, filters=2))
    assert len(set(names)) == len(names)
    assert names[0] == "conv_1/kernel"
