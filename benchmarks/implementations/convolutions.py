"""The convolutions of a meta-gradient alone: a lower bound on its time with the same kernels.

It computes as many products of each kind and size as the meta-gradient needs (`arithmetic.multiply_adds`), with
TensorFlow's kernels, on random numbers. There is no normalisation, activation or pooling, and no product needs the
result of another.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.arithmetic import BLOCKS, STRIDES, blocks
from benchmarks.benchmark import Arrays, Benchmark, repeated, versions_of
from maml_tf.runtime import configure_runtime


def prepare(name: str, problem: dict[str, Any], arrays: Arrays) -> Benchmark:
    """See `benchmarks.implementations`."""
    configure_runtime()
    stride = STRIDES[problem["network"]]
    sets = [numbers(problem, block, name) for block in range(BLOCKS) for name in ("support", "queries")]

    @tf.function(autograph=False)
    def run(*sets):
        return tf.add_n([result[0, 0, 0, 0] for numbers in sets for result in products(*numbers, stride)])

    return Benchmark(repeated(lambda: run(*sets).numpy()))


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    return versions_of("tensorflow", "numpy")


def repetitions(problem: dict[str, Any], block: int, examples: str) -> int:
    """How often each kind of product is needed for a task's examples in a block.

    The kinds are the outputs, the kernel's gradient and, except in the first block, the inputs' gradient. An inner step
    and the query pass need each kind once. The second derivative of a step needs each twice more (`multiply_adds`),
    in the first block once more.

    Args:
        problem: its description.
        block: number of the block, from 0.
        examples: "support" or "queries".
    """
    if examples == "queries":
        return 1
    return problem["steps"] * (1 + (0 if problem["first_order"] else 2 if block else 1))


def numbers(problem: dict[str, Any], block: int, examples: str) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
    """Random numbers of the shapes in a block.

    TensorFlow merges equal operations, so each repetition has its own kernel and its own gradient.

    Returns:
        inputs: [T, n, ...].
        kernels: one for each repetition.
        gradients: of the outputs, [T, n, ...], one for each repetition.
    """
    random = np.random.default_rng(block)
    sizes = blocks(problem["network"], problem["input_shape"], problem["filters"])[block]
    channels, filters = sizes.inputs[-1], sizes.outputs[-1]

    def of_shape(*shape):
        return tf.constant(random.normal(size=shape).astype(np.float32))

    n, repeated = problem[examples], range(repetitions(problem, block, examples))
    return (
        of_shape(problem["tasks"], n, *sizes.inputs),
        [of_shape(3, 3, channels, filters) for _ in repeated],
        [of_shape(problem["tasks"], n, *sizes.outputs) for _ in repeated],
    )


def products(
    inputs: tf.Tensor, kernels: Iterable[tf.Tensor], gradients: Iterable[tf.Tensor], stride: int
) -> list[tf.Tensor]:
    """The results of every product for every task. Using one entry of a result is enough to have all computed."""
    results = []
    for kernel, of_tasks in zip(kernels, gradients, strict=True):
        for x, gradient in zip(tf.unstack(inputs), tf.unstack(of_tasks), strict=True):
            kinds = kinds_of_products(x, kernel, gradient, stride)
            if x.shape[-1] != kernel.shape[-1]:  # the first block's inputs are the images
                del kinds["by inputs"]
            results += [product() for product in kinds.values()]
    return results


def kinds_of_products(
    x: tf.Tensor, kernel: tf.Tensor, gradient: tf.Tensor, stride: int
) -> dict[str, Callable[[], tf.Tensor]]:
    """{kind: function that computes it}: the outputs of a convolution, and the gradients by its kernel and its inputs.

    Args:
        x: [n, height, width, channels].
        kernel: [size, size, channels, filters].
        gradient: of the outputs, [n, height / stride, width / stride, filters].
        stride: in both directions.
    """
    how: dict[str, Any] = {"strides": [1, stride, stride, 1], "padding": "SAME"}
    return {
        "outputs": lambda: tf.raw_ops.Conv2D(input=x, filter=kernel, **how),
        "by kernel": lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=kernel.shape, out_backprop=gradient, **how
        ),
        "by inputs": lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=x.shape, filter=kernel, out_backprop=gradient, **how
        ),
    }
