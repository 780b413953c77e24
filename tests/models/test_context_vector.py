"""The context vector: the inner loop adapts z alone, with and without a task axis."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.adaptable import only_context
from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.meta.maml import MAML
from maml_tf.models.context_vector import WithContext
from maml_tf.models.conv import OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch


def conv_with_context():
    keras.utils.set_random_seed(0)
    return WithContext(OmniglotConv((28, 28, 1 + 3), 5, filters=4), (28, 28, 1), 3)


def mlp_with_context():
    keras.utils.set_random_seed(0)
    return WithContext(MLP(28 * 28 + 5, (8,), 5), (28 * 28,), 5)


@pytest.mark.parametrize(("build", "shape"), [(conv_with_context, (28, 28, 3)), (mlp_with_context, (5,))])
def test_the_inner_loop_adapts_the_context_and_nothing_else(build, shape):
    model = build()
    learner = MAML(model, cross_entropy_over_shots(1), 0.4, 1, adaptable=only_context)
    params = learner.initial_params()
    (place,) = [i for i, variable in enumerate(model.trainable_variables) if variable.name == "context"]
    assert params[place].shape == shape
    assert np.abs(params[place]).max() > 0  # Glorot's distribution, not zeros
    images = tf.constant(np.random.default_rng(0).random((5, 28, 28, 1), np.float32))
    _, adapted = learner.adapted_params(params, images, tf.range(5))
    moved = [not np.array_equal(before, after) for before, after in zip(params, adapted, strict=True)]
    assert moved == [i == place for i in range(len(params))]


@pytest.mark.parametrize("build", [conv_with_context, mlp_with_context])
def test_the_context_reaches_the_output_and_every_parameter_gets_a_meta_gradient(build):
    model = build()
    learner = MAML(model, cross_entropy_over_shots(1), 0.4, 1, adaptable=only_context, vectorized=False)
    random = np.random.default_rng(0)
    images = [tf.constant(random.random((2, 5, 28, 28, 1), np.float32)) for _ in range(2)]
    labels = tf.tile(tf.range(5)[tf.newaxis], [2, 1])
    batch = TaskBatch(images[0], labels, images[1], labels)
    _, gradients = learner.meta_gradient(learner.initial_params(), batch)
    names = [variable.name for variable in model.trainable_variables]
    for name, gradient in zip(names, gradients, strict=True):
        if name != "bias" or build is mlp_with_context:  # batch norm cancels the convolutions' biases
            assert np.abs(gradient).max() > 0, name
    vectorized = MAML(model, cross_entropy_over_shots(1), 0.4, 1, adaptable=only_context, vectorized=True)
    for one, other in zip(gradients, vectorized.meta_gradient(learner.initial_params(), batch)[1], strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_flat_inputs_and_images_give_the_same():
    model = mlp_with_context()
    params = [tf.convert_to_tensor(v) for v in model.trainable_variables]
    images = tf.constant(np.random.default_rng(0).random((3, 28, 28, 1), np.float32))
    flat = tf.reshape(images, [3, 784])
    np.testing.assert_array_equal(functional_call(model, params, images), functional_call(model, params, flat))
