"""The convolutional classifiers against the authors' order of operations."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.implementations import map_fn_reference
from maml_tf.meta.functional import functional_call, weight_names
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv


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
