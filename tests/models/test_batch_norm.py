"""Second derivatives through the conv nets: exact with our batch norm, wrong with TensorFlow's moments."""

import numpy as np
import pytest
import tensorflow as tf
from reference.norm_derivatives import derivatives

from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.models.batch_norm import EPSILON, BatchNorm, given_statistics, recorded_statistics
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP

NETWORKS = {
    "omniglot": lambda dtype: OmniglotConv((28, 28, 1), 5, filters=8, dtype=dtype),
    "mini-imagenet": lambda dtype: MiniImagenetConv((20, 20, 3), 5, filters=8, dtype=dtype),
    "without convolutions": lambda dtype: MLP(28 * 28, (32, 16), 5, batch_norm=True, dtype=dtype),
}


def with_moments(layer, x, shift=None):
    """Batch norm as TensorFlow's own functions would have it."""
    x = x if shift is None else x + shift
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


def test_the_fused_the_written_out_and_the_task_by_task_form_agree():
    rng = np.random.default_rng(2)
    x = tf.constant(rng.normal(2.0, 3.0, size=(3, 6, 5, 5, 4)), tf.float32)
    layer = BatchNorm()
    layer.build((None, 5, 5, 4))
    layer.beta.assign([1.0, 2.0, 3.0, 4.0])
    together = layer(x)
    fused = tf.stack([layer(task) for task in x])
    mean, variance = x.numpy().mean((1, 2, 3), keepdims=True), x.numpy().var((1, 2, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-3) + np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(together, expected, atol=1e-5)
    np.testing.assert_allclose(fused, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(75, 84, 84, 2), (20, 14, 14, 64)], ids=["mini-ImageNet", "Omniglot 20-way"])
def test_the_statistics_of_a_large_batch_are_exact_to_float32(shape):
    """TensorFlow's fused kernel has the variance of so many numbers wrong by 1e-4, and the meta-gradient with it by
    several percent."""
    x = np.random.default_rng(6).normal(0.3, 0.2, size=shape).astype(np.float32)
    layer = BatchNorm()
    layer.build((None, *shape[1:]))
    wide = x.astype(np.float64)
    expected = (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + EPSILON)
    np.testing.assert_allclose(layer(tf.constant(x)), expected, atol=4e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_the_fused_form_and_the_written_out_one_agree_in_their_second_derivatives(graph):
    rng = np.random.default_rng(4)
    shape = (1, 6, 5, 7, 4)
    x, upstream, along = (tf.constant(rng.normal(1.0, 2.0, size=shape), tf.float32) for _ in range(3))
    layer = BatchNorm()
    layer.build(shape[1:])
    along_beta = tf.constant(rng.normal(size=4), tf.float32)
    function = tf.function(derivatives, autograph=False) if graph else derivatives
    *_, expected_by_x, expected_by_upstream = function(layer, x, upstream, along, along_beta)
    *_, by_x, by_upstream = function(layer, x[0], upstream[0], along[0], along_beta)
    for one, other in ((by_x, expected_by_x), (by_upstream, expected_by_upstream)):
        np.testing.assert_allclose(one, other[0], rtol=1e-4, atol=2e-5)


def test_a_third_derivative_is_refused():
    layer = BatchNorm()
    layer.build((None, 5, 5, 2))
    x, upstream, along = (tf.random.stateless_normal((3, 5, 5, 2), (1, i)) for i in range(3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        *_, by_x, _ = derivatives(layer, x, upstream, along, tf.zeros(2))
    with pytest.raises(LookupError, match="fused_batch_norm has no third derivative"):
        tape.gradient(by_x, x)


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
def test_statistics_of_tasks_together_are_those_of_each_alone(of_every_task):
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


def test_a_shift_counts_with_given_statistics_only():
    layer = BatchNorm(name="norm")
    random = np.random.default_rng(4)
    x, upstream = (tf.constant(random.normal(size=(6, 4, 4, 2)).astype(np.float32)) for _ in range(2))
    shift = tf.constant([3.0, -2.0])
    with tf.GradientTape() as tape:
        tape.watch(shift)
        shifted = layer(x, shift)
        along = tf.reduce_sum(shifted * upstream)
    np.testing.assert_allclose(shifted, layer(x + shift), atol=1e-5)
    np.testing.assert_array_equal(tape.gradient(along, shift), [0.0, 0.0])
    with recorded_statistics() as statistics:
        layer(x, shift)
    np.testing.assert_allclose(statistics["norm"][0][0, 0, 0], np.mean(x, axis=(0, 1, 2)) + shift, atol=1e-6)
    with given_statistics(statistics):
        np.testing.assert_allclose(layer(x, shift), shifted, atol=1e-5)
        np.testing.assert_array_equal(layer(x, shift), layer(x + shift))
