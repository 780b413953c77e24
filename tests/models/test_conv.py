"""The convolutional classifiers against the authors' order of operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import largest_difference

from benchmarks.implementations import map_fn_reference
from maml_tf.meta.functional import functional_call, weight_names
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.meta.maml import MAML
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.tasks.base import TaskBatch


@pytest.mark.parametrize(
    ("network", "name"), [(OmniglotConv, "omniglot_conv"), (MiniImagenetConv, "mini_imagenet_conv")]
)
def test_skipped_biases_and_pools_before_relu_change_nothing(network, name):
    """The authors' order is convolution with its bias, batch norm, ReLU, pool (PROTOCOL 2.3, 2.6)."""
    model = network((33, 33, 2), 5, filters=4, dtype="float64")
    rng = np.random.default_rng(7)
    params = [tf.constant(rng.normal(size=v.shape)) for v in model.trainable_variables]
    x, upstream = tf.constant(rng.uniform(size=(6, 33, 33, 2))), tf.constant(rng.normal(size=(6, 5)))

    def in_the_authors_order(model, params, x):
        return map_fn_reference.forward(name, dict(zip(weight_names(model), params, strict=True)), x)

    def logits_and_gradients(forward):
        with tf.GradientTape() as tape:
            tape.watch(params)
            logits = forward(model, params, x)
            along = tf.reduce_sum(logits * upstream)
        return [logits, *tape.gradient(along, params)]

    ours, expected = map(logits_and_gradients, (functional_call, in_the_authors_order))
    for found, reference in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, reference, atol=1e-9)


@pytest.mark.parametrize("network", [OmniglotConv, MiniImagenetConv])
def test_numbers_of_tasks_and_images_may_be_unknown_when_a_function_is_traced(network):
    model = network((16, 16, 1), 2, filters=2)
    rng = np.random.default_rng(0)
    for axes in ((3,), (2, 3)):
        tasks = axes[:-1]
        params = [tf.constant(rng.normal(size=(*tasks, *v.shape)), tf.float32) for v in model.trainable_variables]
        x = tf.constant(rng.normal(size=(*axes, 16, 16, 1)), tf.float32)
        unknown = [tf.TensorSpec([None] * len(tasks) + p.shape[len(tasks) :].as_list()) for p in params]
        images = tf.TensorSpec([None] * len(axes) + [16, 16, 1])
        call = tf.function(lambda params, x: functional_call(model, params, x), input_signature=[unknown, images])
        np.testing.assert_allclose(call(params, x), functional_call(model, params, x), rtol=1e-4, atol=1e-5)


def plain_cut_max_pool(x):
    """TensorFlow's max-pool, whose gradient is a constant to the second derivative."""

    @tf.custom_gradient
    def pool(x):
        y = tf.nn.max_pool2d(x, 2, 2, "VALID")

        def gradient(g):
            window = [1, 2, 2, 1]
            back = tf.raw_ops.MaxPoolGrad(
                orig_input=x, orig_output=y, grad=g, ksize=window, strides=window, padding="VALID"
            )
            return tf.stop_gradient(back)

        return y, gradient

    return pool(x)


def plain_logits(params, x, pool):
    """mini-ImageNet's network in the authors' order by TensorFlow's operations: convolution, batch norm, ReLU, pool."""
    *blocks, kernel, bias = params
    for conv, conv_bias, beta in zip(blocks[:8:2], blocks[1:8:2], blocks[8:], strict=True):
        x = tf.nn.conv2d(x, conv, 1, "SAME") + conv_bias
        mean = tf.reduce_mean(x, (0, 1, 2))
        variance = tf.reduce_mean((x - mean) ** 2, (0, 1, 2))
        x = pool(tf.nn.relu((x - mean) * tf.math.rsqrt(variance + 1e-3) + beta))
    return tf.reshape(x, [len(x), -1]) @ kernel + bias


def plain_meta_gradient(params, batch, step_size, pool):
    """The meta-gradient of one task after one inner step, by two tapes."""
    betas = range(8, 12)  # which the inner step leaves alone

    def loss(params, x, y):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, plain_logits(params, x, pool))
        return tf.reduce_sum(losses)

    with tf.GradientTape() as outer:
        outer.watch(params)
        with tf.GradientTape() as inner:
            inner.watch(params)
            before = loss(params, batch.support_x[0], batch.support_y[0])
        gradients = inner.gradient(before, params)
        pairs = enumerate(zip(params, gradients, strict=True))
        after = [p if index in betas else p - step_size * gradient for index, (p, gradient) in pairs]
        total = loss(after, batch.query_x[0], batch.query_y[0])
    return outer.gradient(total, params, unconnected_gradients="zero")


@pytest.mark.parametrize("cut", [True, False])
def test_the_meta_gradient_with_the_second_derivative_cut_at_the_pools_is_that_of_the_plain_form(cut):
    keras.utils.set_random_seed(1)
    model = MiniImagenetConv((16, 16, 1), 2, filters=2, dtype="float64", cut_second_derivative=cut)
    learner = MAML(model, cross_entropy_over_shots(1), 0.1, 1, vectorized=False)
    rng = np.random.default_rng(0)
    images = [tf.constant(rng.uniform(size=(1, 4, 16, 16, 1))) for _ in range(2)]
    labels = tf.constant([[0, 1, 0, 1]])
    batch = TaskBatch(images[0], labels, images[1], labels)
    params = learner.initial_params()
    plain = {
        name: plain_meta_gradient(params, batch, 0.1, pool)
        for name, pool in (("cut", plain_cut_max_pool), ("exact", lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID")))
    }
    found = learner.meta_gradient(params, batch)[1]
    this, other = (plain["cut"], plain["exact"]) if cut else (plain["exact"], plain["cut"])
    assert largest_difference(found, this) < 1e-9
    assert largest_difference(found, other) > 1e-3
