"""The arithmetic that a meta-gradient needs at least: multiply-adds in convolutions and matrix products."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

STRIDES = {"omniglot_conv": 2, "mini_imagenet_conv": 1}  # of the convolutions
POOLING = {"omniglot_conv": 1, "mini_imagenet_conv": 2}  # factor by which the max-pool of each block divides a side
BLOCKS = 4
KERNEL = 3  # pixels a side


class Block(NamedTuple):
    """The sizes of a block's convolution.

    Attributes:
        inputs, outputs: (height, width, channels) of an example, before the max-pool.
        multiply_adds: of an example's outputs: 9 x input channels x filters for every output pixel.
    """

    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    multiply_adds: int


def blocks(network: str, input_shape: Sequence[int], filters: int) -> list[Block]:
    """The sizes of every block of a convolutional network, in order."""
    height, width, channels = input_shape
    stride, pool = STRIDES[network], POOLING[network]
    found = []
    for _ in range(BLOCKS):
        rows, columns = -(-height // stride), -(-width // stride)
        work = rows * columns * KERNEL**2 * channels * filters
        found.append(Block((height, width, channels), (rows, columns, filters), work))
        height, width, channels = rows // pool, columns // pool, filters
    return found


def layer_products(problem: dict[str, Any]) -> list[int]:
    """Multiply-adds of one example in each layer of the network, in order.

    A convolution's are those of `blocks`, a dense layer takes inputs x outputs.

    Args:
        problem: the description of a workload's problem (see problems.py).
    """
    if problem["network"] == "mlp":
        sizes = [math.prod(problem["input_shape"]), *problem["hidden"], problem["outputs"]]
        return [inputs * outputs for inputs, outputs in itertools.pairwise(sizes)]
    convolutions = blocks(problem["network"], problem["input_shape"], problem["filters"])
    (height, width, filters), pool = convolutions[-1].outputs, POOLING[problem["network"]]
    features = filters if problem["network"] == "omniglot_conv" else (height // pool) * (width // pool) * filters
    return [*(block.multiply_adds for block in convolutions), features * problem["outputs"]]


def multiply_adds(problem: dict[str, Any]) -> int | None:
    """The multiply-adds in convolutions and matrix products of one exact meta-gradient, with nothing computed twice.

    For each layer y = W x. An inner step takes y, dW and dx: 3 products of the size of the forward one. Differentiating
    through the step (second order) takes two for each of them, one for each factor: 6 more. The query pass takes 3.
    The first layer's x is data, so it has no dx: 2 products for a step, 2 more for the second order, 2 for the query
    pass. With T tasks, n support and q query examples and S steps that is T (n S (3 + 6) + 3 q) products of a layer.

    With low-rank updates (`maml_tf/ops/low_rank_updates.py`) an inner step takes no dW, so there are no products for
    its two factors: 2 and 4 (1 and 1 in the first layer). The products of rows with rows are small and not counted.

    Args:
        problem: the description of a workload's problem (see problems.py).

    Returns:
        The count, or None for a workload that is not a supervised meta-gradient.
    """
    if problem["kind"] not in ("meta_gradient", "training"):
        return None
    second_order = not problem["first_order"]
    total = 0
    for layer, products in enumerate(layer_products(problem)):
        step, more, query = (3, 6, 3) if layer else (2, 2, 2)
        if problem.get("low_rank_updates"):
            step, more = (2, 4) if layer else (1, 1)
        passes = problem["support"] * problem["steps"] * (step + more * second_order) + problem["queries"] * query
        total += problem["tasks"] * products * passes
    return total
