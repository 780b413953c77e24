"""The counts of multiply-adds."""

import numpy as np
import pytest

from benchmarks.arithmetic import BLOCKS, STRIDES, layer_products, multiply_adds
from benchmarks.implementations import convolutions
from benchmarks.problems import write_problem

MLP = {"kind": "meta_gradient", "network": "mlp", "input_shape": [1], "hidden": [40, 40], "outputs": 1}


def test_multiply_adds_of_known_cases():
    assert layer_products(MLP) == [40, 1600, 40]
    sizes = {"tasks": 25, "support": 10, "queries": 10, "steps": 1}
    # Layer 1: 2 + 2 products a support point, 2 a query point; the others 3 + 6 and 3.
    assert multiply_adds(MLP | sizes | {"first_order": False}) == 25 * 10 * (40 * 6 + 1640 * 12)
    assert multiply_adds(MLP | sizes | {"first_order": True}) == 25 * 10 * (40 * 4 + 1640 * 6)
    # With low-rank updates: 1 + 1 and 2 in layer 1, 2 + 4 and 3 in the others.
    low_rank_updates = MLP | sizes | {"first_order": False, "low_rank_updates": True}
    assert multiply_adds(low_rank_updates) == 25 * 10 * (40 * 4 + 1640 * 9)
    assert multiply_adds(MLP | sizes | {"kind": "evaluation"}) is None
    assert layer_products(MLP | {"input_shape": [28, 28, 1]})[0] == 784 * 40
    omniglot = {"network": "omniglot_conv", "input_shape": [28, 28, 1], "filters": 64, "outputs": 5}
    pixels = [14 * 14, 7 * 7, 4 * 4, 2 * 2]
    expected = [pixels[0] * 9 * 64, *(n * 9 * 64 * 64 for n in pixels[1:]), 64 * 5]
    assert layer_products(omniglot) == expected
    mini_imagenet = {"network": "mini_imagenet_conv", "input_shape": [84, 84, 3], "filters": 32, "outputs": 5}
    pixels = [84 * 84, 42 * 42, 21 * 21, 10 * 10]
    expected = [pixels[0] * 9 * 3 * 32, *(n * 9 * 32 * 32 for n in pixels[1:]), 800 * 5]
    assert layer_products(mini_imagenet) == expected


@pytest.mark.parametrize("workload", ["omniglot_5way_1shot", "miniimagenet_1shot", "miniimagenet_1shot_first_order"])
def test_the_convolutions_alone_are_those_of_the_meta_gradient(workload, tmp_path, tiny):
    problem, _ = write_problem(tiny(workload), tmp_path / "problem.npz")
    found = 0
    for block in range(BLOCKS):
        for examples in ("support", "queries"):
            inputs, kernels, gradients = convolutions.numbers(problem, block, examples)
            stride = STRIDES[problem["network"]]
            results = convolutions.products(inputs, kernels, gradients, stride)
            assert all(g.shape[1:] == results[0].shape for g in gradients)
            found += len(results) * np.prod(results[0].shape) * np.prod(kernels[0].shape[:3])
    dense = layer_products(problem)[-1]
    step, query = (3 if problem["first_order"] else 9) * problem["steps"], 3
    dense *= problem["tasks"] * (problem["support"] * step + problem["queries"] * query)
    assert found + dense == multiply_adds(problem)
