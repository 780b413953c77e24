"""Learners as bytes: the copy has the same meta-gradient, also with a user's layers and functions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.methods.maml_plus_plus import MAMLPlusPlus
from maml_tf.methods.reptile import Reptile
from maml_tf.models.conv import OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.sending import from_bytes, to_bytes

TASKS = SinusoidTasks(2, 2).sample((1, 2), 2)


class Scaled(keras.layers.Layer):
    """A user's layer, which is registered nowhere."""

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor
        self.offset = self.add_weight(shape=(4,), initializer="zeros", trainable=False, name="offset")

    def call(self, x):
        return self.factor * x + self.offset

    def get_config(self):
        return super().get_config() | {"factor": self.factor}


class Forgetful(keras.Model):
    """A user's model whose get_config lacks an argument that cannot be written down."""

    def __init__(self, layers):
        super().__init__()
        self.parts = layers
        self(tf.zeros((1, 1)))

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


@keras.saving.register_keras_serializable("mine")
def sine(x):
    return tf.sin(x)


def user_model():
    keras.utils.set_random_seed(1)
    frozen = keras.layers.Dense(4, activation=sine)
    frozen.trainable = False
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(4),
            frozen,
            keras.layers.BatchNormalization(),
            Scaled(2.0),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )


def small_loss(labels, predictions):
    return tf.reduce_mean((labels - predictions) ** 2)


def plus_plus():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    model.add(keras.layers.Dense(1))
    return MAMLPlusPlus(model, mean_squared_error, 0.1, 1, multi_step_loss=3, step_sizes=True, norm_weights=True)


LEARNERS = {
    "MLP": lambda: MAML(MLP(1, (3,), 1), mean_squared_error, 0.1, 1),
    "user's model and loss": lambda: MAML(user_model(), lambda y, p: small_loss(y, p), 0.1, 1, batch_norm="running"),
    "Keras loss": lambda: MAML(MLP(1, (3,), 1), keras.losses.Huber(0.5), 0.1, 1),
    "MAML++": plus_plus,
    "Reptile": lambda: Reptile(user_model(), mean_squared_error, 0.1, 2, mini_batch=2),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_the_copy_has_the_same_meta_step(name):
    learner = LEARNERS[name]()
    for variable in learner.model.non_trainable_variables:
        if variable.dtype == "float32":
            variable.assign(variable + 0.25)  # a value that no initializer gives
    copy = from_bytes(to_bytes(learner, learner.model))
    assert copy.model is not learner.model
    params = learner.initial_params()
    found, expected = (one.meta_step(params, TASKS, (1, 2)) for one in (copy, learner))
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_library_s_networks_and_policies_can_be_sent():
    for value, model in (
        (learner := MAML(OmniglotConv((4, 4, 1), 2, 2), mean_squared_error, 0.1, 1), learner.model),
        (learner := MAMLTRPO(GaussianPolicy(2, 1, (3,)), 0.1), learner.policy),
    ):
        copy = from_bytes(to_bytes(value, model))
        assert type(copy) is type(value)
        assert [p.shape for p in copy.initial_params()] == [p.shape for p in value.initial_params()]


def test_a_model_that_keras_cannot_copy_is_an_error_that_says_what_is_missing():
    learner = MAML(Forgetful([keras.layers.Dense(1)]), mean_squared_error, 0.1, 1)
    with pytest.raises(UsageError, match=r"workers: the learner with the model .* cannot be sent .*get_config"):
        to_bytes(learner, learner.model)
