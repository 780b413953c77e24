"""Second derivatives through the conv nets: exact with our batch norm, wrong with TensorFlow's moments."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.models.batch_norm import EPSILON, BatchNorm, BatchNormMaxPool, given_statistics, recorded_statistics
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP

GPU = bool(tf.config.list_physical_devices("GPU"))
NETWORKS = {
    "omniglot": lambda dtype: OmniglotConv((28, 28, 1), 5, filters=8, dtype=dtype),
    "mini-imagenet": lambda dtype: MiniImagenetConv((20, 20, 3), 5, filters=8, dtype=dtype),
    "without convolutions": lambda dtype: MLP(28 * 28, (32, 16), 5, batch_norm=True, dtype=dtype),
}


def with_moments(layer, x, bias=None):
    """Batch norm as TensorFlow's own functions would have it."""
    x = x if bias is None else x + bias
    mean, variance = tf.nn.moments(x, list(range(x.shape.rank - 1)))
    return tf.nn.batch_normalization(x, mean, variance, tf.convert_to_tensor(layer.beta), None, EPSILON)


def hessian_vector_error(network, dtype):
    """Relative error of our Hessian-vector product in `dtype` against finite differences of the float64 gradient."""
    rng = np.random.default_rng(1)
    exact = NETWORKS[network]("float64")
    side, channels = (20, 3) if network == "mini-imagenet" else (28, 1)
    x, labels = rng.uniform(size=(10, side, side, channels)), tf.constant(np.arange(10) % 5)
    params = [rng.normal(size=tuple(v.shape)) * 0.3 for v in exact.trainable_variables]
    direction = [rng.normal(size=p.shape) for p in params]
    loss = cross_entropy_over_shots(2)

    def gradient(model, params, x):
        with tf.GradientTape() as tape:
            tape.watch(params)
            value = loss(labels, functional_call(model, params, x))
        return tape.gradient(value, params)

    step = 1e-7  # so small that hardly a ReLU changes side
    moved = [
        gradient(exact, [tf.constant(p + s * step * d) for p, d in zip(params, direction, strict=True)], tf.constant(x))
        for s in (1, -1)
    ]
    expected = [(a - b).numpy() / (2 * step) for a, b in zip(*moved, strict=True)]

    model = NETWORKS[network](dtype)
    theta = [tf.constant(p, dtype) for p in params]
    with tf.GradientTape() as tape:
        tape.watch(theta)
        along = tf.add_n(
            [
                tf.reduce_sum(g * tf.constant(d, dtype))
                for g, d in zip(gradient(model, theta, tf.constant(x, dtype)), direction, strict=True)
            ]
        )
    found = [g.numpy() for g in tape.gradient(along, theta)]
    error = np.sqrt(sum(((f - e) ** 2).sum() for f, e in zip(found, expected, strict=True)))
    return error / np.sqrt(sum((e**2).sum() for e in expected))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float32", 1e-4)])
def test_hessian_vector_product_of_the_whole_network(network, dtype, tolerance):
    assert hessian_vector_error(network, dtype) < tolerance


@pytest.mark.parametrize("network", ["omniglot", "mini-imagenet"])
def test_moments_would_fail_that_test(network, monkeypatch):
    monkeypatch.setattr(BatchNorm, "call", with_moments)
    assert hessian_vector_error(network, "float64") > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_is_normalised_by_its_own_statistics_with_and_without_a_task_axis(dtype):
    rng = np.random.default_rng(2)
    x = tf.constant(rng.normal(2.0, 3.0, size=(3, 6, 5, 5, 4)), dtype)
    layer = BatchNorm(dtype=dtype)
    layer.build((None, 5, 5, 4))
    layer.beta.assign([1.0, 2.0, 3.0, 4.0])
    mean, variance = x.numpy().mean((1, 2, 3), keepdims=True), x.numpy().var((1, 2, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-3) + np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    np.testing.assert_allclose(tf.stack([layer(task) for task in x]), expected, atol=1e-5)


def test_a_max_pool_follows_with_and_without_a_task_axis():
    x = tf.constant(np.random.default_rng(1).normal(1.0, 2.0, (2, 3, 7, 6, 4)), tf.float32)
    norm, pooled = BatchNorm(), BatchNormMaxPool()
    for layer in (norm, pooled):
        layer.build((None, 7, 6, 4))
        layer.beta.assign([1.0, 2.0, 3.0, 4.0])
    expected = [tf.nn.max_pool2d(norm(task), 2, 2, "VALID") for task in x]
    np.testing.assert_allclose(pooled(x), expected, atol=1e-5)
    np.testing.assert_allclose([pooled(task) for task in x], expected, atol=1e-5)


def test_the_fused_forms_are_for_images_of_one_task_in_float32_with_their_own_statistics():
    layer = BatchNorm(name="norm")
    layer.build((None, 5, 5, 4))
    images = tf.zeros((2, 5, 5, 4))
    assert layer._is_fused(images) is not GPU
    assert not layer._is_fused(tf.zeros((3, 2, 5, 5, 4)))
    assert not layer._is_fused(tf.cast(images, tf.float64))
    with recorded_statistics() as statistics:
        assert not layer._is_fused(images)
        layer(images)
    with given_statistics(statistics):
        assert not layer._is_fused(images)


def test_given_statistics_take_the_place_of_the_batchs_own():
    layer = BatchNorm(name="norm")
    random = np.random.default_rng(3)
    first, second = (tf.constant(random.normal(size=(6, 4, 4, 2)).astype(np.float32)) for _ in range(2))
    expected = layer(first)
    with recorded_statistics() as statistics:
        recorded = layer(first)
    np.testing.assert_allclose(recorded, expected, atol=1e-6)
    mean, variance = (values[0, 0, 0] for values in statistics["norm"])
    np.testing.assert_allclose(mean, np.mean(first, axis=(0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(variance, np.var(first, axis=(0, 1, 2)), atol=1e-6)
    with given_statistics(statistics):
        np.testing.assert_allclose(layer(first), expected, atol=1e-6)
        np.testing.assert_allclose(layer(second), (second - mean) / np.sqrt(variance + 1e-3), atol=1e-5)
    np.testing.assert_allclose(np.mean(layer(second), axis=(0, 1, 2)), 0, atol=1e-6)  # its own again


@pytest.mark.parametrize("of_every_task", [True, False])
def test_statistics_with_a_task_axis_are_those_of_each_task(of_every_task):
    model = MiniImagenetConv((20, 20, 3), 5, filters=4)
    random = np.random.default_rng(7)
    shapes = [(2, *v.shape) for v in model.trainable_variables]
    params = [tf.constant(random.normal(size=shape), tf.float32) for shape in shapes]
    support, query = (tf.constant(random.uniform(size=(2, n, 20, 20, 3)), tf.float32) for n in (5, 10))
    with recorded_statistics() as fixed:
        functional_call(model, [p[0] for p in params], query[0])

    def predictions(params, support, query):
        with recorded_statistics() as own:
            functional_call(model, params, support)
        with given_statistics(own if of_every_task else fixed):
            return functional_call(model, params, query)

    one_by_one = [predictions([p[t] for p in params], support[t], query[t]) for t in range(2)]
    np.testing.assert_allclose(predictions(params, support, query), tf.stack(one_by_one), rtol=2e-4, atol=2e-4)


def test_a_bias_counts_with_given_statistics_only():
    layer = BatchNorm(name="norm")
    random = np.random.default_rng(4)
    x, upstream = (tf.constant(random.normal(size=(6, 4, 4, 2)).astype(np.float32)) for _ in range(2))
    bias = tf.constant([3.0, -2.0])
    with tf.GradientTape() as tape:
        tape.watch(bias)
        biased = layer(x, bias)
        along = tf.reduce_sum(biased * upstream)
    np.testing.assert_allclose(biased, layer(x + bias), atol=1e-5)
    np.testing.assert_array_equal(tape.gradient(along, bias), [0.0, 0.0])
    with recorded_statistics() as statistics:
        layer(x, bias)
    np.testing.assert_allclose(statistics["norm"][0][0, 0, 0], np.mean(x, axis=(0, 1, 2)) + bias, atol=1e-6)
    with given_statistics(statistics):
        np.testing.assert_allclose(layer(x, bias), biased, atol=1e-5)
        np.testing.assert_array_equal(layer(x, bias), layer(x + bias))


@pytest.mark.parametrize("graph", [False, True])
def test_predicting_with_given_statistics_pools_first_and_gives_the_same_bits(graph):
    rng = np.random.default_rng(5)
    x = tf.constant(rng.normal(0.0, 3.0, (12, 9, 10, 16)), tf.float32)
    bias = tf.constant(rng.normal(size=16), tf.float32)
    mean, variance = (tf.constant(rng.uniform(0.01, 2.0, (1, 1, 1, 16)), tf.float32) for _ in range(2))
    layer = BatchNormMaxPool(name="norm")
    layer.build((None, 9, 10, 16))
    layer.beta.assign(rng.normal(size=16))

    def outputs(x, bias):
        pair = []
        for predict_only in (False, True):
            with given_statistics({"norm": (mean, variance)}, predict_only):
                pair.append(layer(x, bias))
        return pair

    plain, pooled_first = (tf.function(outputs, autograph=False) if graph else outputs)(x, bias)
    np.testing.assert_array_equal(pooled_first, plain)
