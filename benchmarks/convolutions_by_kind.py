"""How fast each kind of product of a convolution runs, as a share of the matrix-product peak, on one core.

    python -m benchmarks.convolutions_by_kind [--instruction-set avx2]

It shows which products a processor's kernels are slow at: the outputs, the gradient by the kernel or that by the
inputs. Beside them stand the same products on patches that are gathered already, and with the gathering. It prints a
table and writes nothing (1 minute).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import arithmetic
from benchmarks.arithmetic import KERNEL, STRIDES
from benchmarks.instruction_sets import INSTRUCTION_SETS
from benchmarks.peer_venvs import ROOT
from maml_tf.cli import exit_codes

# (network, images, filters) of Table 1's 5-way cells. A task has 5 support images (K = 1) and 75 queries.
NETWORKS = (("omniglot_conv", (28, 28, 1), 64), ("mini_imagenet_conv", (84, 84, 3), 32))
EXAMPLES = (5, 75)
TURNS, TURN_SECONDS = 7, 0.05


def main() -> None:
    """Measures in a process with one core and the environment of the instruction set, which libraries read once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--instruction-set", choices=INSTRUCTION_SETS, help="use no more; default: the processor's")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_this_process:
        print_table()
        return
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    settings = one_thread | INSTRUCTION_SETS.get(arguments.instruction_set, {}) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "benchmarks.convolutions_by_kind", "--in-this-process"]
    core = {max(os.sched_getaffinity(0))}
    subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, check=True, preexec_fn=lambda: os.sched_setaffinity(0, core)
    )


def print_table() -> None:
    """Prints the shares of all products, in percent."""
    from benchmarks.implementations import sgemm

    product = sgemm.prepare("sgemm", {}, {})
    peak = sgemm.MULTIPLY_ADDS / seconds_of(lambda: product.run(1))
    print(f"matrix products: {2 * peak / 1e9:.0f} billion operations a second; below: shares of this in percent")
    for network, images, shape, work, functions in blocks():
        shares = [f"{kind} {100 * work / seconds_of(function) / peak:.0f}" for kind, function in functions.items()]
        print(f"{network}, {images} images of {' x '.join(map(str, shape))}: {', '.join(shares)}", flush=True)


def blocks() -> Iterator[tuple[str, int, tuple[int, int, int], int, dict[str, Callable]]]:
    """(network, images, their shape, multiply-adds of each product, {kind: function}) of every block."""
    for network, input_shape, filters in NETWORKS:
        for number, block in enumerate(arithmetic.blocks(network, input_shape, filters)):
            side, _, channels = block.inputs
            for images in EXAMPLES:
                functions = products(images, side, channels, filters, STRIDES[network])
                if number == 0:  # nothing asks for the gradient by the images
                    del functions["by inputs"]
                yield network, images, block.inputs, images * block.multiply_adds, functions


def products(images: int, side: int, channels: int, filters: int, stride: int) -> dict[str, Callable]:
    """{kind: compiled function without arguments} of a convolution with SAME padding, on random numbers."""
    import numpy as np
    import tensorflow as tf

    from benchmarks.implementations.convolutions import kinds_of_products

    random, out_side, strides = np.random.default_rng(0), -(-side // stride), [1, stride, stride, 1]

    def of_shape(*shape):
        return tf.Variable(random.normal(size=shape).astype(np.float32))

    x, kernel = of_shape(images, side, side, channels), of_shape(KERNEL, KERNEL, channels, filters)
    gradient = of_shape(images, out_side, out_side, filters)

    def gathered():
        patches = tf.image.extract_patches(x, [1, KERNEL, KERNEL, 1], strides, [1, 1, 1, 1], "SAME")
        return tf.reshape(patches, [-1, KERNEL**2 * channels])

    before = tf.Variable(gathered())
    kernel_matrix, gradient_matrix = (tf.Variable(tf.reshape(tensor, [-1, filters])) for tensor in (kernel, gradient))
    functions = kinds_of_products(x, kernel, gradient, stride) | {
        "outputs from patches": lambda: tf.matmul(before, kernel_matrix),
        "by kernel from patches": lambda: tf.matmul(before, gradient_matrix, transpose_a=True),
        "by kernel, gathering too": lambda: tf.matmul(gathered(), gradient_matrix, transpose_a=True),
    }
    return {kind: tf.function(function, autograph=False) for kind, function in functions.items()}


def seconds_of(call: Callable[[], Any]) -> float:
    """The median time of a call."""
    call()  # traces it
    started = time.perf_counter()
    call()
    calls = max(1, round(TURN_SECONDS / (time.perf_counter() - started)))
    times = []
    for _ in range(TURNS):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - started) / calls)
    return statistics.median(times)


if __name__ == "__main__":
    with exit_codes():
        main()
