"""Shapes, initial weights, and the equality of the forms with and without a task axis."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference.rounding import gamma

from benchmarks.implementations import map_fn_reference
from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.meta.maml import MAML
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.layers import Conv2D
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch
from maml_tf.training.checkpoint import weight_names

MODELS = {
    "omniglot": (lambda dtype: OmniglotConv((28, 28, 1), 5, filters=8, dtype=dtype), (28, 28, 1)),
    "mini-imagenet": (lambda dtype: MiniImagenetConv((84, 84, 3), 5, filters=4, dtype=dtype), (84, 84, 3)),
    "without convolutions": (lambda dtype: MLP(784, (32, 16), 5, batch_norm=True, dtype=dtype), (28, 28, 1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_tasks_together_equal_tasks_one_by_one(name):
    build, image_shape = MODELS[name]
    model, T = build("float32"), 3
    rng = np.random.default_rng(0)
    params = [tf.constant(rng.normal(size=(T, *v.shape)) * 0.3, tf.float32) for v in model.trainable_variables]
    x = tf.constant(rng.uniform(size=(T, 6, *image_shape)), tf.float32)
    together = functional_call(model, params, x)
    one_by_one = tf.stack([functional_call(model, [p[t] for p in params], x[t]) for t in range(T)])
    assert together.shape == (T, 6, 5)
    np.testing.assert_allclose(together, one_by_one, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_rounds_products_and_nothing_else(name, vectorized):
    """Eight bits leave the logits off by about 2^-9 a layer; weights, statistics and meta-gradients stay float32."""
    build, image_shape = MODELS[name]
    exact, rounded = build("float32"), build("mixed_bfloat16")
    rng = np.random.default_rng(3)
    params = [tf.constant(rng.normal(size=v.shape) * 0.3, tf.float32) for v in exact.trainable_variables]
    x = tf.constant(rng.uniform(size=(6, *image_shape)), tf.float32)
    logits, expected = functional_call(rounded, params, x), functional_call(exact, params, x)
    assert logits.dtype == tf.float32
    assert [v.dtype for v in rounded.trainable_variables] == ["float32"] * len(params)
    assert 1e-4 < np.abs(logits - expected).max() / np.abs(expected).max() < 0.05

    images = [tf.constant(rng.uniform(size=(2, 5, *image_shape)), tf.float32) for _ in range(2)]
    labels = tf.constant([[0, 1, 2, 3, 4]] * 2)
    batch = TaskBatch(images[0], labels, images[1], labels)
    gradients = [
        np.concatenate([np.ravel(g) for g in learner.meta_gradient(params, batch)[1]])
        for learner in (MAML(m, cross_entropy_over_shots(1), 0.01, 1, vectorized=vectorized) for m in (rounded, exact))
    ]
    assert gradients[0].dtype == np.float32
    # At random weights and five images a batch, where a max-pool's choice hangs on the last bits, not much more.
    assert np.dot(*gradients) > 0.75 * np.linalg.norm(gradients[0]) * np.linalg.norm(gradients[1])


@pytest.mark.parametrize(
    ("network", "name"), [(OmniglotConv, "omniglot_conv"), (MiniImagenetConv, "mini_imagenet_conv")]
)
def test_biases_left_out_and_pools_before_relu_change_nothing(network, name):
    """Beside the authors' order: convolution with its bias, batch norm, ReLU, then the pool (PROTOCOL 2.3, 2.6)."""
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


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 28])
def test_gathered_patches_are_a_same_convolution(stride, side):
    layer = Conv2D(4, stride=stride)
    x = tf.random.stateless_normal([2, 3, side, side, 2], [1, 2])
    layer.build(x.shape[1:])
    kernel = tf.random.stateless_normal([2, 3, 3, 2, 4], [3, 4])
    bias = tf.random.stateless_normal([2, 4], [5, 6])
    with keras.StatelessScope() as scope:
        scope.add_update((layer.kernel, kernel))
        scope.add_update((layer.bias, bias))
        together = layer.call(x)
    for task in range(2):
        expected = tf.nn.conv2d(x[task], kernel[task], stride, "SAME") + bias[task]
        np.testing.assert_allclose(together[task], expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_convolutions_add_up_in_float32(stride):
    """The gradient of the kernel, whose sums are the longest, included; without bfloat16 instructions too."""
    layer = Conv2D(3, stride=stride, dtype="mixed_bfloat16")
    rng = np.random.default_rng(0)
    x, kernel = (tf.constant(rng.uniform(1, 2, shape), tf.bfloat16) for shape in ((3, 48, 48, 2), (3, 3, 2, 3)))
    layer.build(x.shape)
    upstream = tf.constant(rng.uniform(1, 2, (3, 48 // stride, 48 // stride, 3)), tf.bfloat16)

    def product_and_gradients(convolve, *factors):
        with tf.GradientTape() as tape:
            tape.watch(factors)
            y = convolve(*factors)
        return [y, *tape.gradient(y, factors, tf.cast(upstream, y.dtype))]

    def by_layer(x, kernel):
        with keras.StatelessScope() as scope:
            scope.add_update((layer.kernel, kernel))
            return layer(x, add_bias=False)

    def in_float64(x, kernel):
        return tf.nn.conv2d(x, kernel, stride, "SAME")

    found = product_and_gradients(by_layer, x, tf.cast(kernel, tf.float32))
    expected = product_and_gradients(in_float64, tf.cast(x, tf.float64), tf.cast(kernel, tf.float64))
    # All factors are positive: float32 sums round once a term, at most, and the result is rounded to bfloat16.
    allowed = gamma(3 * 48 * 48) + gamma(1, tf.bfloat16.as_numpy_dtype)
    for ours, exact in zip(found, expected, strict=True):
        np.testing.assert_allclose(tf.cast(ours, tf.float64), exact, rtol=allowed)


def test_sizes_of_the_papers_networks():
    count = {
        "sinusoid": MLP(1, (40, 40), 1),
        "omniglot": OmniglotConv((28, 28, 1), 5),
        "mini-imagenet": MiniImagenetConv((84, 84, 3), 5),
        "without convolutions": MLP(784, (256, 128, 64, 64), 5, batch_norm=True),
    }
    sizes = {name: sum(int(np.prod(v.shape)) for v in model.trainable_variables) for name, model in count.items()}
    assert sizes["sinusoid"] == 1761
    assert sizes["omniglot"] == 9 * 64 + 3 * 9 * 64 * 64 + 8 * 64 + 64 * 5 + 5
    assert sizes["mini-imagenet"] == 32773  # as many as in the authors' released checkpoint
    assert sizes["without convolutions"] == 784 * 256 + 256 * 128 + 128 * 64 + 64 * 64 + 64 * 5 + 2 * 512 + 5


def test_initial_weights_are_the_authors():
    keras.utils.set_random_seed(0)
    mlp, conv = MLP(784, (256,), 5), OmniglotConv((28, 28, 1), 20)
    kernel = mlp.dense[0].kernel.numpy()
    assert np.abs(kernel).max() <= 0.02
    assert kernel.std() == pytest.approx(
        0.01 * 0.88, rel=0.02
    )  # a normal cut at two standard deviations has 0.88 of it
    assert conv.output_layer.kernel.numpy().std() == pytest.approx(1.0, rel=0.05)
    bound = np.sqrt(6 / (9 * 64 + 9 * 64))
    assert np.abs(conv.convolutions[1].kernel.numpy()).max() == pytest.approx(bound, rel=0.01)
    assert all(
        not v.numpy().any() for model in (mlp, conv) for v in model.trainable_variables if v.name in ("bias", "beta")
    )


def test_weight_names_are_unique_and_do_not_depend_on_what_was_built_before():
    names = weight_names(OmniglotConv((28, 28, 1), 5))
    assert names == weight_names(OmniglotConv((28, 28, 1), 5))
    assert len(set(names)) == len(names)
    assert names[0] == "conv_1/kernel"


def test_adaptation_leaves_the_batch_norm_offset_and_meta_training_does_not():
    build, image_shape = MODELS["omniglot"]
    model = build("float32")
    learner = MAML(model, cross_entropy_over_shots(1), 0.4, 2, vectorized=False)
    rng = np.random.default_rng(0)
    x, y = tf.constant(rng.uniform(size=(5, *image_shape)), tf.float32), tf.range(5)
    theta = learner.initial_params()
    with tf.GradientTape() as tape:
        tape.watch(theta)
        after = learner.adapted_params(theta, x, y)[-1]
        loss = learner.loss(y, functional_call(model, after, x[::-1]))
    gradients = tape.gradient(loss, theta)
    for variable, before, adapted, gradient in zip(model.trainable_variables, theta, after, gradients, strict=True):
        assert gradient is not None
        if variable.name == "beta":
            assert adapted is before
            assert np.abs(gradient).max() > 0
        elif variable.name == "kernel":
            assert not np.allclose(adapted, before)


def test_a_users_own_keras_model_can_be_meta_trained_and_adapted():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    learner = MAML(model, lambda y, p: tf.reduce_mean(tf.square(y - p), axis=(-2, -1)), 0.1, 1)
    assert not learner.task_execution.vectorized
    x, y = np.ones((4, 2), np.float32), np.full((4, 1), 3.0, np.float32)
    before = model(x).numpy()
    adapted = learner.adapt(x, y, num_steps=20)
    assert np.abs(adapted(x) - y).max() < 0.1 < np.abs(before - y).max()
    np.testing.assert_array_equal(model(x), before)
