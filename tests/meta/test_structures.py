"""Nested inputs and outputs in place of one tensor, and what is converted and cast."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.evaluation.evaluate import evaluate
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.meta.structures import as_tensors
from maml_tf.models.conv import OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.training.train import train

L = keras.layers
N = 3


def two_inputs(names=None):
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    return keras.Model({"a": a, "b": b} if names else [a, b], L.Dense(1)(L.multiply([L.Dense(2)(a), L.Dense(2)(b)])))


def two_outputs(names=None):
    x = keras.Input((2,))
    y, z = L.Dense(1)(x), L.Dense(1)(L.Dense(2, "tanh")(x))
    return keras.Model(x, {"y": y, "z": z} if names else [y, z])


def arrays(rng, T, width, structure):
    make = lambda: rng.normal(size=(T, N, width)).astype(np.float32)  # noqa: E731
    return {
        "one": make,
        "tuple": lambda: (make(), make()),
        "list": lambda: [make(), make()],
        "dict": lambda: {"a": make(), "b": make()},
        "y, z": lambda: {"y": make(), "z": make()},
    }[structure]()


KINDS = {  # (model, structure of the inputs, of the outputs)
    "tuple of inputs": (two_inputs, "tuple", "one"),
    "list of inputs": (two_inputs, "list", "one"),
    "dictionary of inputs": (lambda: two_inputs(True), "dict", "one"),
    "list of outputs": (two_outputs, "one", "list"),
    "dictionary of outputs": (lambda: two_outputs(True), "one", "y, z"),
}


@pytest.mark.parametrize("T", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_structures_of_tensors_take_the_place_of_one(kind, T):
    """The meta-loss of T tasks is the mean of each task's own, computed with the adapted model."""
    build, x, y = KINDS[kind]
    keras.utils.set_random_seed(0)
    learner = MAML(build(), mean_squared_error, 0.1, 1)
    rng = np.random.default_rng(T)
    batch = TaskBatch(*(arrays(rng, T, 1 if part == y else 2, part) for part in (x, y, x, y)))
    assert batch.num_tasks == T
    loss, gradients = learner.meta_gradient(learner.initial_params(), batch)
    assert all(np.any(g) for g in gradients)
    expected = []
    for task in range(T):
        support_x, support_y, query_x, query_y = tf.nest.map_structure(lambda array, t=task: array[t], tuple(batch))
        found = learner.adapt(support_x, support_y).predict(query_x, batch_size=2)
        errors = [np.mean((a - b) ** 2) for a, b in zip(*map(tf.nest.flatten, (found, query_y)), strict=True)]
        expected.append(sum(errors))
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)


class Pairs(TaskDistribution):
    """Two inputs and two outputs, in NumPy's float64; the arrays do not depend on the seed."""

    def sample(self, seed, num_tasks):
        a = np.linspace(0, 1, 8).reshape(1, 4, 2).repeat(num_tasks, 0)
        return TaskBatch({"a": a, "b": a + 1}, a[..., :1], {"a": a, "b": a - 1}, a[..., :1])


def test_structures_and_float64_arrays_are_trained_and_evaluated():
    learner = MAML(two_inputs(True), mean_squared_error, 0.05, 1)
    checkpoint = train(learner, Pairs(), iterations=3, batch_size=2)
    assert all(np.isfinite(p).all() for p in checkpoint.params)
    scores = evaluate(learner, Pairs(), params=checkpoint.params, num_tasks=3, num_steps=2)
    assert scores.scores.shape == (3, 3)


def test_the_first_axes_of_a_batch_must_agree():
    with pytest.raises(ValueError, match=r"every tensor of a TaskBatch needs the task axis first.*\[3, 4, 1\]"):
        _ = TaskBatch((np.zeros((2, 4)), np.zeros((2, 4))), np.zeros((3, 4, 1)), np.zeros(2), np.zeros(2)).num_tasks


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, np.float16])
def test_every_number_type_is_cast_as_keras_does(dtype):
    x = np.arange(8).reshape(4, 2).astype(dtype)
    y = x[:, :1]
    for model in (MLP(2, (3,), 1), keras.Sequential([keras.Input((2,)), L.Dense(3), L.Dense(1)])):
        learner = MAML(model, mean_squared_error, 0.01, 1)
        found = learner.adapt(x, y)(x)
        np.testing.assert_array_equal(found, learner.adapt(x.astype(np.float32), y.astype(np.float32))(x))
        assert found.dtype == tf.float32


def test_images_of_bytes_reach_a_convolutional_network():
    model = OmniglotConv((8, 8, 1), 3, filters=2)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    learner = MAML(model, "sparse_categorical_crossentropy", 0.1, 1)
    np.testing.assert_array_equal(learner.forward(learner.initial_params(), images), model(images.astype(np.float32)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_models_of_other_precisions_are_trained_and_evaluated(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((2,)), L.Dense(3), L.Dense(1)])
    finally:
        keras.config.set_dtype_policy("float32")
    learner = MAML(model, mean_squared_error, 0.05, 1)
    x = np.ones((2, 4, 2))
    batch = TaskBatch(x, x[..., :1], x, x[..., :1])
    loss, gradients = learner.meta_gradient(learner.initial_params(), batch)
    assert np.isfinite(float(loss))
    assert gradients[0].dtype == learner.initial_params()[0].dtype

    class Ones(TaskDistribution):
        def sample(self, seed, num_tasks):
            return batch.tasks(0, num_tasks)

    assert np.isfinite(evaluate(learner, Ones(), num_tasks=2, num_steps=1).scores).all()


def test_lists_of_numbers_are_arrays_and_lists_of_arrays_are_structures():
    assert as_tensors([[1.0, 2.0], [3.0, 4.0]]).dtype == tf.float32
    assert as_tensors([[1, 2], [3, 4]]).shape == (2, 2)
    assert as_tensors(["a", "b"]).dtype == tf.string
    assert as_tensors(np.array(["a", "b"], object)).dtype == tf.string
    assert as_tensors(np.array([1, 2.5], object)).shape == (2,)
    assert as_tensors([np.float64(1), np.float64(2)]).shape == (2,)
    pair = as_tensors([np.ones(2), np.ones(3)])
    assert isinstance(pair, list)
    assert [len(part) for part in pair] == [2, 3]
    assert as_tensors({"x": [1.0]}, "float64")["x"].dtype == tf.float64
    assert as_tensors(np.arange(3), "float64").dtype == tf.int64
