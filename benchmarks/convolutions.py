"""The convolutions of a meta-gradient and nothing else: what no other way to it through the same kernels can undercut.

As many products of each kind and size as the meta-gradient needs (`workloads.multiply_adds`), by TensorFlow's kernels,
on numbers without a meaning: no normalisation, no activation, no pooling, and none waits for another's result.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from benchmarks.prepared import Prepared, repeated, versions_of
from benchmarks.workloads import BLOCKS, POOLING, STRIDES
from maml_tf.runtime import configure_runtime


def prepare(side, problem, arrays):
    """See side.py."""
    configure_runtime()
    stride = STRIDES[problem["network"]]
    sets = [numbers(problem, block, name) for block in range(BLOCKS) for name in ("support", "queries")]

    @tf.function(autograph=False)
    def run(*sets):
        return tf.add_n([result[0, 0, 0, 0] for numbers in sets for result in products(*numbers, stride)])

    return Prepared(repeated(lambda: run(*sets).numpy()))


def versions():
    """Of what this side runs on."""
    return versions_of("tensorflow", "numpy")


def repetitions(problem, block, examples):
    """How often every kind of product is needed for a task's examples ("support" or "queries") in a block.

    The kinds: outputs from inputs and kernel, the kernel's gradient and, but in the first block, the inputs' gradient.
    An inner step and the query pass need each once, the second derivative of a step each twice more (`multiply_adds`),
    in the first block once more.
    """
    if examples == "queries":
        return 1
    return problem["steps"] * (1 + (0 if problem["first_order"] else 2 if block else 1))


def numbers(problem, block, examples):
    """(inputs [T, n, ...], kernels, gradients of the outputs [T, n, ...]) of a block.

    TensorFlow merges equal operations, so there is a kernel and a gradient for every repetition.
    """
    random = np.random.default_rng(block)
    stride, pool, filters = STRIDES[problem["network"]], POOLING[problem["network"]], problem["filters"]
    *sides, channels = problem["input_shape"]
    for _ in range(block):
        sides, channels = [-(-side // stride) // pool for side in sides], filters

    def of_shape(*shape):
        return tf.constant(random.normal(size=shape).astype(np.float32))

    n, repeated = problem[examples], range(repetitions(problem, block, examples))
    return (
        of_shape(problem["tasks"], n, *sides, channels),
        [of_shape(3, 3, channels, filters) for _ in repeated],
        [of_shape(problem["tasks"], n, *(-(-side // stride) for side in sides), filters) for _ in repeated],
    )


def products(inputs, kernels, gradients, stride):
    """Every product of every task: a list of results, of which one entry each is enough to have them computed."""
    how = {"strides": [1, stride, stride, 1], "padding": "SAME"}
    results = []
    for kernel, of_tasks in zip(kernels, gradients, strict=True):
        for x, gradient in zip(tf.unstack(inputs), tf.unstack(of_tasks), strict=True):
            results.append(tf.raw_ops.Conv2D(input=x, filter=kernel, **how))
            of_kernel = tf.raw_ops.Conv2DBackpropFilter
            results.append(of_kernel(input=x, filter_sizes=kernel.shape, out_backprop=gradient, **how))
            if x.shape[-1] == kernel.shape[-1]:  # the first block's inputs are the images
                of_inputs = tf.raw_ops.Conv2DBackpropInput
                results.append(of_inputs(input_sizes=x.shape, filter=kernel, out_backprop=gradient, **how))
    return results
