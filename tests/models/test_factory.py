"""Networks by name: each spec section builds its network, and a new one is a registered class."""

import dataclasses

import keras
import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.meta.functional import weights_of
from maml_tf.models.context_vector import WithContext
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.factory import NETWORKS, ConvSpec, MLPSpec
from maml_tf.models.mlp import MLP

SHAPE = (28, 28, 1)
CASES = {
    "mlp": ({"hidden": (8, 6), "batch_norm": True}, lambda dtype: MLP(784, (8, 6), 5, True, dtype)),
    "omniglot_conv": ({"filters": 2}, lambda dtype: OmniglotConv(SHAPE, 5, 2, dtype)),
    "mini_imagenet_conv": ({"filters": 2}, lambda dtype: MiniImagenetConv(SHAPE, 5, 2, dtype)),
}


def network(name, **sizes):
    return NETWORKS[name](network=name, **sizes)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", "float32"), ("tensor_float_32", "float32"), ("bfloat16", "mixed_bfloat16")],
)
@pytest.mark.parametrize("name", CASES)
def test_a_section_builds_its_network(name, precision, dtype):
    sizes, build = CASES[name]
    keras.utils.set_random_seed(1)
    found = network(name, precision=precision, **sizes).build(SHAPE, 5)
    keras.utils.set_random_seed(1)
    expected = build(dtype)
    assert type(found) is type(expected)
    assert found.get_config() | {"name": ""} == expected.get_config() | {"name": ""}
    for ours, reference in zip(weights_of(found), weights_of(expected), strict=True):
        np.testing.assert_array_equal(ours, reference)


@pytest.mark.parametrize("name", CASES)
def test_a_context_vector_is_put_in_front_of_the_network(name):
    model = network(name, context_size=3, **CASES[name][0]).build(SHAPE, 5)
    assert isinstance(model, WithContext)
    assert type(model.network) is type(CASES[name][1]("float32"))
    assert model(np.zeros((2, *SHAPE), np.float32)).shape == (2, 5)


def test_impossible_sizes_are_refused():
    with pytest.raises(
        UsageError, match=r"hidden: \[\] is not allowed; expected whole numbers from 1, at least one layer"
    ):
        network("mlp", hidden=())
    with pytest.raises(UsageError, match="filters: 0 is not allowed; expected a whole number from 1"):
        network("omniglot_conv", filters=0)


def test_an_unknown_network_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"network 'resnet' is not known; allowed are mlp, .*mini_imagenet_conv"):
        NETWORKS["resnet"]


def test_sections_are_frozen_values():
    section = network("mlp", hidden=(8,))
    assert section == MLPSpec(network="mlp", hidden=(8,))
    assert issubclass(NETWORKS["omniglot_conv"], ConvSpec)
    with pytest.raises(dataclasses.FrozenInstanceError):
        section.hidden = (9,)
