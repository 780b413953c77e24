"""The products whose times are compared are those of a convolution."""

import numpy as np

from benchmarks import convolutions_by_kind
from benchmarks.convolutions_by_kind import blocks, products


def test_patches_give_the_same_products():
    found = {kind: function().numpy() for kind, function in products(2, 7, 3, 4, 2).items()}
    for kind in ("outputs", "by kernel"):
        for name in [name for name in found if name.startswith(kind)]:
            np.testing.assert_allclose(found[name].ravel(), found[kind].ravel(), rtol=1e-4, atol=1e-5)
    assert found["outputs"].shape == (2, 4, 4, 4)
    assert found["by inputs"].shape == (2, 7, 7, 3)


def test_the_sizes_are_those_of_the_networks(monkeypatch):
    monkeypatch.setattr(convolutions_by_kind, "products", lambda *sizes: {"by inputs": sizes})
    shapes = [shape for network, images, shape, _, _ in blocks() if network == "mini_imagenet_conv" and images == 5]
    assert shapes == [(84, 84, 3), (42, 42, 32), (21, 21, 32), (10, 10, 32)]
    work = [work for network, images, _, work, _ in blocks() if network == "omniglot_conv" and images == 75]
    assert work == [75 * 14**2 * 9 * 64, 75 * 7**2 * 9 * 64**2, 75 * 4**2 * 9 * 64**2, 75 * 2**2 * 9 * 64**2]
