"""Arguments of MAML and `adapt`: the error names the argument, before anything is computed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.arguments import number, theta, whole_number
from maml_tf.meta.inner_loop import adapt
from maml_tf.meta.inner_updates import GradientDescent
from maml_tf.meta.maml import MAML


def network(**options):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((2,)), keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    return keras.Sequential(layers, name="net", **options)


def frozen():
    model = network()
    model.trainable = False
    return model


@pytest.fixture(scope="module")
def learner():
    return MAML(network(), "mse", 0.1, 1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: keras.Sequential([keras.layers.Dense(1)], name="net"),
            "model: net is not built, so it has no weights",
        ),
        (frozen, "model: net has nothing to train: all of its weights are frozen"),
        (lambda: keras.Sequential([keras.Input((2,)), keras.layers.ReLU()], name="net"), "it has no weights"),
        (lambda: keras.Sequential, "model: Sequential is not allowed; expected a keras.Model"),
        (lambda: keras.layers.Dense(1), r"model: a keras.*Dense is not allowed"),
        (lambda: None, "model: a builtins.NoneType is not allowed"),
    ],
    ids=["not built", "frozen", "no weights", "a class", "a layer", "none"],
)
def test_a_model_that_cannot_be_trained_is_named(model, message):
    with pytest.raises(UsageError, match=message):
        MAML(model(), "mse", 0.1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_size": [0.1, 0.2]}, r"step_size: \[0.1, 0.2\] is not allowed; expected one number from 0"),
        ({"step_size": np.array([0.1])}, "step_size: array"),
        ({"step_size": "0.1"}, "step_size: '0.1' is not allowed"),
        ({"step_size": -0.1}, "step_size: -0.1 is not allowed"),
        ({"step_size": float("nan")}, "step_size: nan is not allowed"),
        ({"step_size": keras.optimizers.SGD(0.1)}, "step_size: <keras.*SGD.*> is not allowed"),
        ({"num_steps": 1.0}, "num_steps: 1.0 is not allowed; expected a whole number from 0"),
        ({"num_steps": -1}, "num_steps: -1 is not allowed"),
        ({"num_steps": True}, "num_steps: True is not allowed"),
        ({"adaptable": lambda variable: False}, "adaptable: it chooses none of the weights of net: .*kernel"),
        ({"adaptable": ["kernel"]}, r"adaptable: \['kernel'\] is not allowed; expected a function"),
        ({"inner_update": GradientDescent}, "inner_update: <class .* is not allowed; expected an object"),
    ],
    ids=str,
)
def test_a_wrong_argument_of_maml_is_named(options, message):
    with pytest.raises(UsageError, match=message):
        MAML(network(), "mse", **{"step_size": 0.1, "num_steps": 1} | options)


@pytest.mark.parametrize("step_size", [0.1, 1, np.float32(0.1), np.array(0.1), tf.constant(0.1)], ids=repr)
def test_a_step_size_may_be_any_single_number(step_size):
    assert float(number("step_size", step_size)) == pytest.approx(float(step_size))


def test_a_whole_number_may_be_of_numpy():
    assert whole_number("n", np.int64(3)) == 3


def test_params_are_one_array_for_each_parameter(learner):
    expected = learner.initial_params()
    arrays = theta([p.numpy().astype(np.float64) for p in expected], learner)
    assert all(tf.is_tensor(p) and p.dtype == tf.float32 for p in arrays)
    x, y = np.ones((3, 2)), np.ones((3, 1))
    for params, message in (
        (learner.model.get_weights(), r"params: 8 arrays are given, theta has 6: .*model.get_weights\(\) also holds"),
        (expected[:-1], "params: 5 arrays are given, theta has 6"),
        ([*expected[:-1], tf.zeros(2)], r"bias has shape \[2\]; expected \[1\]"),
        ({"a": 1}, "params: a dict is given"),
        (expected[0], "params: a .*Tensor is given"),
    ):
        with pytest.raises(UsageError, match=message):
            learner.adapt(x, y, params=params)


def test_a_tuple_is_no_task_batch(learner):
    x, y = tf.ones([2, 3, 2]), tf.ones([2, 3, 1])
    with pytest.raises(UsageError, match=r"the tasks are a tuple; expected mt.TaskBatch\(support_x"):
        learner.meta_gradient(learner.initial_params(), (x, y, x, y))


@pytest.mark.parametrize("num_steps", [-1, 1.5, "2"])
def test_the_number_of_steps_is_checked_where_it_is_given(learner, num_steps):
    with pytest.raises(UsageError, match=r"num_steps: .* is not allowed"):
        learner.adapt(np.ones((3, 2)), np.ones((3, 1)), num_steps=num_steps)
    with pytest.raises(UsageError, match=r"num_steps: .* is not allowed"):
        adapt(lambda params, _: tf.reduce_sum(params[0]), [tf.zeros(1)], None, 0.1, num_steps)
