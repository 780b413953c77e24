"""Graphs of built-in operations compute what TensorFlow's own kernels do, and what cannot be replaced is named."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.ops.built_in import FOR_LITERT
from maml_tf.ops.rewriting import with_replacements

RNG = np.random.default_rng(0)
NOT_IN_LITERT = {name for name in FOR_LITERT if name.endswith("Grad") or "Backprop" in name or "CrossEntropy" in name}


def gradient(function):
    """A function of tensors that returns the gradients of a weighted sum of what `function` returns."""

    def gradients(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = function(*inputs)
            weights = tf.reshape(tf.sin(1.0 + tf.range(tf.size(output), dtype=output.dtype)), tf.shape(output))
            loss = tf.reduce_sum(weights * output)
        return [output, *tape.gradient(loss, inputs)]

    return gradients


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def convolution(strides, padding, dilations=1):
    return lambda x, kernel: tf.nn.conv2d(x, kernel, strides, padding, dilations=dilations)


def pool(kind, size, strides, padding):
    return lambda x: kind(x, size, strides, padding)


def cross_entropy(logits):
    return tf.nn.sparse_softmax_cross_entropy_with_logits([2, 0, 1], logits)


def slices(x):
    return tf.reduce_sum(x[1:6:2, ..., tf.newaxis, -1] ** 2) + tf.reduce_sum(x[..., 1:-1, 2] ** 3) + x[-2, 0, 1]


IMAGES, KERNEL = numbers(2, 7, 6, 3), numbers(3, 2, 3, 4)
CASES = {
    "convolution, stride 1": (convolution(1, "SAME"), IMAGES, KERNEL),
    "convolution, stride 2": (convolution(2, "SAME"), IMAGES, KERNEL),
    "convolution, strides": (convolution((2, 3), "VALID"), IMAGES, KERNEL),
    "convolution, dilation": (convolution(1, "SAME", 2), IMAGES, KERNEL),
    "depthwise": (lambda x, k: tf.nn.depthwise_conv2d(x, k, [1, 2, 2, 1], "SAME"), IMAGES, numbers(3, 2, 3, 2)),
    "max-pool": (pool(tf.nn.max_pool2d, 2, 2, "VALID"), IMAGES),
    "max-pool, overlapping": (pool(tf.nn.max_pool2d, 3, 2, "SAME"), IMAGES),
    "max-pool of equal values": (pool(tf.nn.max_pool2d, 2, 2, "VALID"), np.ones((1, 4, 4, 1), np.float32)),
    "average pool": (pool(tf.nn.avg_pool2d, 3, 2, "SAME"), IMAGES),
    "strided slices": (slices, numbers(7, 4, 3)),
    "cross-entropy": (cross_entropy, numbers(3, 4)),
    "dense cross-entropy": (lambda x: tf.nn.softmax_cross_entropy_with_logits(tf.eye(3, 4), x), numbers(3, 4)),
    "concatenation": (lambda x, y: tf.concat([x, y], -1), numbers(3, 4), numbers(3, 2)),
    "bias": (tf.nn.bias_add, numbers(3, 4), numbers(4)),
    "leaky": (lambda x: tf.nn.leaky_relu(x, 0.3), numbers(9)),
    **{
        function.__name__: (function, numbers(9) * 4)
        for function in (tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.softplus, tf.sigmoid, tf.tanh)
    },
    **{function.__name__: (function, np.abs(numbers(9)) + 0.1) for function in (tf.sqrt, tf.math.rsqrt)},
}


@pytest.mark.parametrize("case", CASES)
def test_a_graph_of_built_in_operations_gives_the_same(case):
    function, *inputs = CASES[case]
    inputs = [tf.constant(value) for value in inputs]
    graph = tf.function(gradient(function), autograph=False).get_concrete_function(*inputs)
    assert {operation.type for operation in graph.graph.get_operations()} & set(FOR_LITERT)
    rewritten = with_replacements(graph.graph, graph.inputs, graph.outputs, FOR_LITERT)
    new = tf.function(rewritten, autograph=False).get_concrete_function(*inputs)
    assert not {operation.type for operation in new.graph.get_operations()} & NOT_IN_LITERT
    # XLA computes what TensorFlow has no kernel for where oneDNN is off.
    reference = tf.function(gradient(function), jit_compile=True) if case == "convolution, dilation" else graph
    for found, expected in zip(new(*inputs), reference(*inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "x", "message"),
    [
        (lambda x: tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * 2), [0, x])[1], (3,), "While"),
        (lambda x: x[::-1] ** 2, (3,), "negative stride"),
        (lambda x: tf.nn.conv2d(x, tf.ones((2, 2, 1, 4)), 1, "SAME"), (1, 4, 4, 2), "groups of channels"),
        (
            lambda x: tf.nn.conv2d(x, tf.ones((2, 2, 2, 4)), 1, [[0, 0], [1, 0], [0, 1], [0, 0]]),
            (1, 4, 4, 2),
            "EXPLICIT",
        ),
    ],
)
def test_what_cannot_be_replaced_is_named(function, x, message):
    graph = tf.function(gradient(function), autograph=False).get_concrete_function(tf.TensorSpec(x))

    def rewritten(x):
        return with_replacements(graph.graph, graph.inputs, graph.outputs, FOR_LITERT)(x)

    with pytest.raises(UsageError, match=message):
        tf.function(rewritten, autograph=False).get_concrete_function(tf.TensorSpec(x))
