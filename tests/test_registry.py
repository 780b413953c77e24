"""Registries: entries by name, and an error that says which names there are."""

import pytest

from maml_tf._registry import Registry
from maml_tf.errors import UsageError


def test_an_entry_is_found_by_its_name():
    registry = Registry("shape")
    registry.register("square")(4)
    registry.register("triangle")(3)
    assert registry["square"] == 4
    assert list(registry) == ["square", "triangle"]
    assert "circle" not in registry
    assert len(registry) == 2


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    registry = Registry("shape")
    registry.register("square")(4)
    registry.register("triangle")(3)
    with pytest.raises(UsageError, match="shape 'circle' is not known; allowed are square, triangle"):
        registry["circle"]


def test_a_name_belongs_to_one_entry():
    registry = Registry("shape")
    registry.register("square")(4)
    registry.register("square")(4)  # the same entry again, as when a module is loaded twice
    with pytest.raises(ValueError, match="shape 'square' is registered already, as 4"):
        registry.register("square")(5)
