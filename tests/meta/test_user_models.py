"""The meta-gradient of ordinary Keras models equals finite differences in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.tasks.base import TaskBatch

L = keras.layers
N = 4  # rows of a set
SEED = tf.constant([3, 5])


@pytest.fixture(autouse=True)
def in_float64():
    keras.config.set_floatx("float64")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_floatx("float32")


def floats(*shape):
    return lambda rng, T: rng.normal(size=(T, N, *shape))


def tokens(length=3):
    return lambda rng, T: rng.integers(1, 6, size=(T, N, length)).astype(np.int32)


class Gathered(keras.Model):
    """A table of weights, read with `tf.gather`."""

    def __init__(self):
        super().__init__()
        self.table = self.add_weight(shape=(6, 2), initializer="glorot_uniform", name="table")

    def call(self, x):
        return tf.reduce_prod(tf.gather(tf.convert_to_tensor(self.table), x), axis=-2)


class Mixed(keras.Model):
    """Tokens and numbers in a dictionary, and a layer of another type than the rest."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = L.Embedding(6, 3), L.Dense(2)
        self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale", dtype="float32")

    def call(self, x):
        found = tf.reduce_mean(self.embedding(x["tokens"]), axis=-2)
        found *= tf.cast(tf.convert_to_tensor(self.scale), found.dtype)
        return self.out(tf.tanh(tf.concat([found, tf.cast(x["numbers"], found.dtype)], axis=-1)))


def sequential(*layers):
    return lambda shape: keras.Sequential([keras.Input(shape), *layers, L.Dense(2)])


def functional(build):
    def model(shape):
        inputs = tf.nest.map_structure(keras.Input, shape, check_types=False) if isinstance(shape, dict) else None
        inputs = [keras.Input(s) for s in shape] if inputs is None and isinstance(shape[0], tuple) else inputs
        inputs = keras.Input(shape) if inputs is None else inputs
        return keras.Model(inputs, build(inputs))

    return model


def attention(x):
    x = L.Dense(4)(x)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 2)(x, x))
    return L.Dense(2)(L.GlobalAveragePooling1D()(x))


def shared(x):
    layer = L.Dense(3, "tanh")
    return L.Dense(2)(layer(layer(x)))


def nested(x):
    def part(name):
        inputs = keras.Input((3,))
        return keras.Model(inputs, L.Dense(3, "tanh", name="dense")(inputs), name=name)

    return L.Dense(2)(part("a")(part("b")(x)))


def images(x):
    """As a block of MobileNetV2."""
    y = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(4, 1, use_bias=False)(x)))
    y = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same", use_bias=False)(y)))
    y = L.Add()([x, L.BatchNormalization()(L.Conv2D(2, 1, use_bias=False)(y))])
    return L.Dense(2)(L.GlobalAveragePooling2D()(L.MaxPooling2D()(y)))


def tokens_model(*layers, mask_zero=False):
    def model(shape):
        return keras.Sequential(
            [keras.Input(shape, dtype="int32"), L.Embedding(6, 3, mask_zero=mask_zero), *layers, L.Dense(2)]
        )

    return model


def called(model, x):
    model(tf.nest.map_structure(lambda part: part[0], x))
    return model


MODELS = {  # (model, inputs, number of outputs)
    "batch norm": (lambda: sequential(L.Dense(4, "tanh"), L.BatchNormalization())((3,)), floats(3), 1),
    "batch norm of images": (lambda: functional(images)((4, 4, 2)), floats(4, 4, 2), 1),
    "group norm": (lambda: sequential(L.Dense(4), L.GroupNormalization(2))((3,)), floats(3), 1),
    "dropout": (lambda: sequential(L.Dense(6, "tanh"), L.Dropout(0.4))((3,)), floats(3), 1),
    "embedding": (lambda: tokens_model(L.Flatten(), L.Activation("tanh"))((3,)), tokens(), 1),
    "tf.gather": (Gathered, tokens(), 1),
    "LSTM": (lambda: sequential(L.LSTM(2, dropout=0.3, recurrent_dropout=0.3))((2, 2)), floats(2, 2), 1),
    "embedding and LSTM, masked": (lambda: tokens_model(L.LSTM(2), mask_zero=True)((3,)), tokens(), 1),
    "GRU": (lambda: sequential(L.Bidirectional(L.GRU(2)))((2, 2)), floats(2, 2), 1),
    "attention": (lambda: functional(attention)((3, 2)), floats(3, 2), 1),
    "two inputs": (
        lambda: functional(lambda x: L.Dense(2)(L.multiply([L.Dense(3)(x[0]), L.Dense(3)(x[1])])))([(2,), (3,)]),
        lambda rng, T: (rng.normal(size=(T, N, 2)), rng.normal(size=(T, N, 3))),
        1,
    ),
    "two outputs": (
        lambda: functional(lambda x: [L.Dense(2)(x), L.Dense(2)(L.Dense(2, "tanh")(x))])((3,)),
        floats(3),
        2,
    ),
    "shared layers": (lambda: functional(shared)((3,)), floats(3), 1),
    "nested models": (lambda: functional(nested)((3,)), floats(3), 1),
    "regularised": (
        lambda: sequential(L.Dense(3, "tanh", kernel_regularizer="l2", activity_regularizer="l2"))((3,)),
        floats(3),
        1,
    ),
    "mixed types": (Mixed, lambda rng, T: {"tokens": tokens()(rng, T), "numbers": floats(2)(rng, T)}, 1),
}

SLOW = ("LSTM", "embedding and LSTM, masked", "GRU", "attention", "batch norm of images")


def problem(name):
    """A MAML around a model, and a batch of two tasks, or of one where steps take long, as NumPy arrays."""
    T = 1 if name in SLOW else 2
    build, inputs, outputs = MODELS[name]
    rng = np.random.default_rng(0)
    support_x, query_x = inputs(rng, T), inputs(rng, T)
    support_y, query_y = ([floats(2)(rng, T) for _ in range(outputs)] for _ in range(2))
    if outputs == 1:
        support_y, query_y = support_y[0], query_y[0]
    model = called(build(), support_x)
    learner = MAML(model, mean_squared_error, 0.1, 2, adaptable=lambda variable: True)
    return learner, TaskBatch(support_x, support_y, query_x, query_y)


@pytest.mark.parametrize("name", MODELS)
def test_the_meta_gradient_equals_finite_differences(name):
    learner, batch = problem(name)
    theta = learner.initial_params()
    _, gradients, _ = learner.meta_step(theta, batch, SEED)
    rng = np.random.default_rng(1)
    direction = [rng.normal(size=p.shape).astype(p.dtype.as_numpy_dtype) for p in theta]
    along = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    # The step is small, so that no ReLU changes sides. One weight of the mixed model has the rounding of float32.
    step, tolerance = (1e-6, 1e-6) if name != "mixed types" else (1e-3, 1e-3)
    higher, lower = (
        learner.meta_step([p + sign * step * d for p, d in zip(theta, direction, strict=True)], batch, SEED).loss
        for sign in (1, -1)
    )
    assert float(higher - lower) / (2 * step) == pytest.approx(along, rel=tolerance)
