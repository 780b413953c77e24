"""An adapted model: called on tensors, and asked for predictions in batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML


@pytest.fixture(scope="module")
def learner():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    return MAML(model, mean_squared_error, 0.1, 1)


def test_adapting_fits_the_task_and_leaves_the_model_as_it_is(learner):
    x, y = np.ones((4, 2), np.float32), np.full((4, 1), 3.0, np.float32)
    before = learner.model(x).numpy()
    adapted = learner.adapt(x, y, num_steps=20)
    assert np.abs(adapted(x) - y).max() < 0.1 < np.abs(before - y).max()
    np.testing.assert_array_equal(learner.model(x), before)


def test_adapting_starts_from_the_params_that_are_given(learner):
    x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    params = [p + 0.5 for p in learner.initial_params()]
    adapted = learner.adapt(x, y, num_steps=1, params=params)
    _, expected = learner.adapted_params(params, tf.constant(x), tf.constant(y), 1)
    for found, reference in zip(adapted.params, expected, strict=True):
        np.testing.assert_array_equal(found, reference)


def test_a_task_without_examples_or_with_values_that_are_not_finite_is_refused(learner):
    x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    with pytest.raises(UsageError, match="x: there are no examples"):
        learner.adapt(x[:0], y[:0])
    for bad in (np.nan, np.inf):
        for task in ((x * bad, y), (x, y + bad)):
            with pytest.raises(FloatingPointError, match=r"adapt: dense.*/(kernel|bias) is not finite after"):
                learner.adapt(*task)


def test_a_float64_array_is_taken_as_the_models_type(learner):
    x, y = np.ones((4, 2)), np.zeros((4, 1))
    assert learner.adapt(x, y)(x).dtype == tf.float32


@pytest.mark.parametrize("n", [1, 6, 7])
def test_predict_returns_an_array_computed_in_batches(learner, n):
    x = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    adapted = learner.adapt(x, x[:, :1])
    predictions = adapted.predict(x, batch_size=3)
    assert isinstance(predictions, np.ndarray)
    np.testing.assert_allclose(predictions, adapted(x), rtol=1e-6)


def test_an_adapted_model_is_saved_as_a_keras_model(learner, tmp_path):
    x, y = np.ones((4, 2), np.float32), np.full((4, 1), 3.0, np.float32)
    adapted = learner.adapt(x, y, num_steps=3)
    before = [v.numpy() for v in learner.model.trainable_variables]
    adapted.keras_model().save(tmp_path / "adapted.keras")
    loaded = keras.models.load_model(tmp_path / "adapted.keras")
    np.testing.assert_allclose(loaded(x), adapted(x), rtol=1e-6)
    for variable, value in zip(learner.model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


class Plain(keras.Model):
    """Keras makes it again from no arguments at all, but without weights before it is called."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)


class OfLayer(Plain):
    def __init__(self, dense):
        super().__init__()
        self.dense = dense


class OfArray(Plain):
    """What its configuration leaves out makes weights of another shape."""

    def __init__(self, units=1):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def get_config(self):
        return {}


def test_a_subclassed_model_is_made_again(learner):
    x, y = np.ones((4, 2), np.float32), np.full((4, 1), 3.0, np.float32)
    model = Plain()
    model(x)
    adapted = MAML(model, mean_squared_error, 0.1, 1).adapt(x, y)
    again = adapted.keras_model()
    assert again is not model
    np.testing.assert_allclose(again(x), adapted(x), rtol=1e-6)


@pytest.mark.parametrize("build", [lambda: OfLayer(keras.layers.Dense(1)), lambda: OfArray(3)])
def test_a_model_that_cannot_be_made_again_says_what_to_define(build):
    x, model = np.ones((4, 2), np.float32), build()
    y = np.zeros(model(x).shape, np.float32)
    adapted = MAML(model, mean_squared_error, 0.1, 1).adapt(x, y)
    with pytest.raises(UsageError, match=r"keras_model: Of\w+ cannot be made again .* get_config that returns"):
        adapted.keras_model()
