"""Dense and Conv2D: as Keras' layers, with and without a task axis, and their configurations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.functional import functional_call
from maml_tf.models.layers import Conv2D, Dense

LAYERS = {
    "dense": (Dense(3), keras.layers.Dense(3), (4, 5)),
    "convolution": (Conv2D(3), keras.layers.Conv2D(3, 3, padding="same"), (4, 6, 6, 2)),
    "strided convolution": (
        Conv2D(3, size=5, stride=2),
        keras.layers.Conv2D(3, 5, strides=2, padding="same"),
        (4, 7, 6, 2),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_equals_that_of_keras_with_and_without_a_task_axis(name):
    layer, reference, shape = LAYERS[name]
    T, rng = 2, np.random.default_rng(0)
    for each in (layer, reference):
        each.build(shape)
    x = tf.constant(rng.normal(size=(T, *shape)), tf.float32)
    weights = [tf.constant(rng.normal(size=(T, *v.shape)), tf.float32) for v in layer.trainable_variables]
    expected = [functional_call(reference, [w[task] for w in weights], x[task]) for task in range(T)]
    one_by_one = [functional_call(layer, [w[task] for w in weights], x[task]) for task in range(T)]
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(functional_call(layer, weights, x), expected, rtol=1e-5, atol=1e-5)


def test_a_convolution_leaves_out_its_bias_on_request():
    layer = Conv2D(2)
    layer.build((None, 4, 4, 1))
    layer.bias.assign([1.0, 2.0])
    x = tf.random.stateless_normal((3, 4, 4, 1), (1, 2))
    np.testing.assert_allclose(
        layer(x) - layer(x, add_bias=False), np.broadcast_to([1.0, 2.0], (3, 4, 4, 2)), atol=1e-6
    )


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3, keras.initializers.TruncatedNormal(stddev=0.01), name="first"),
        Conv2D(3, size=5, stride=2, kernel_initializer="he_normal", dtype="mixed_bfloat16"),
    ],
    ids=["dense", "convolution"],
)
def test_a_layer_is_rebuilt_from_its_configuration(layer):
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(rebuilt) is type(layer)
    assert rebuilt.get_config() == layer.get_config()
