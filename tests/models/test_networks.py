"""All networks: with and without a task axis, in bfloat16, their sizes and initial weights, saved and loaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.functional import functional_call, weight_names
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.meta.maml import MAML
from maml_tf.models.context_vector import WithContext
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch

DTYPES = ("float32", "mixed_bfloat16")
MODELS = {
    "omniglot": (lambda dtype: OmniglotConv((28, 28, 1), 5, filters=8, dtype=dtype), (28, 28, 1)),
    "mini-imagenet": (lambda dtype: MiniImagenetConv((40, 40, 3), 5, filters=4, dtype=dtype), (40, 40, 3)),
    "without convolutions": (lambda dtype: MLP(784, (32, 16), 5, batch_norm=True, dtype=dtype), (28, 28, 1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_task_axis_gives_what_each_task_gives(name):
    build, image_shape = MODELS[name]
    model, T = build("float32"), 3
    rng = np.random.default_rng(0)
    params = [tf.constant(rng.normal(size=(T, *v.shape)) * 0.3, tf.float32) for v in model.trainable_variables]
    x = tf.constant(rng.uniform(size=(T, 6, *image_shape)), tf.float32)
    vectorized = functional_call(model, params, x)
    one_by_one = tf.stack([functional_call(model, [p[t] for p in params], x[t]) for t in range(T)])
    assert vectorized.shape == (T, 6, 5)
    np.testing.assert_allclose(vectorized, one_by_one, rtol=2e-4, atol=2e-4)


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
    # A normal distribution cut at two standard deviations has 0.88 of its standard deviation.
    assert kernel.std() == pytest.approx(0.01 * 0.88, rel=0.02)
    assert conv.output_layer.kernel.numpy().std() == pytest.approx(1.0, rel=0.05)
    bound = np.sqrt(6 / (9 * 64 + 9 * 64))
    assert np.abs(conv.convolutions[1].kernel.numpy()).max() == pytest.approx(bound, rel=0.01)
    assert all(
        not v.numpy().any() for model in (mlp, conv) for v in model.trainable_variables if v.name in ("bias", "beta")
    )


SAVED = {
    **{f"{name}, {dtype}": (build, dtype, shape) for name, (build, shape) in MODELS.items() for dtype in DTYPES},
    "sinusoid": (lambda dtype: MLP(1, (6, 5), 1, dtype=dtype, name="regressor"), "float64", (1,)),
    "with context, images": (
        lambda dtype: WithContext(OmniglotConv((28, 28, 4), 5, filters=2), (28, 28, 1), 3),
        "float32",
        (28, 28, 1),
    ),
    "with context, flat": (lambda dtype: WithContext(MLP(787, (8,), 5), (784,), 3), "float32", (28, 28, 1)),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_model_that_was_saved_and_loaded_is_the_same(name, tmp_path):
    build, dtype, shape = SAVED[name]
    model = build(dtype)
    rng = np.random.default_rng(2)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    assert weight_names(loaded) == weight_names(model)
    x = tf.constant(rng.uniform(size=(4, *shape)), model.variable_dtype)
    np.testing.assert_array_equal(loaded(x), model(x))
    for restored, variable in zip(loaded.trainable_variables, model.trainable_variables, strict=True):
        assert restored.dtype == variable.dtype
        np.testing.assert_array_equal(restored, variable)
