"""Checks of the numbers in a spec; each error names the key, the value and what is allowed."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from maml_tf.errors import UsageError


def at_least_one(section: Any, *names: str) -> None:
    """Raises a UsageError where one of these numbers of a section (or lists of numbers) is below one."""
    _check(section, names, lambda value: value >= 1, "a whole number from 1")


def above_zero(section: Any, *names: str) -> None:
    """Raises a UsageError where one of these numbers of a section (or lists of numbers) is not above zero."""
    _check(section, names, lambda value: value > 0, "a number above 0")


def not_negative(section: Any, *names: str) -> None:
    """Raises a UsageError where one of these numbers of a section (or lists of numbers) is below zero."""
    _check(section, names, lambda value: value >= 0, "a number from 0")


def _check(section: Any, names: Sequence[str], is_allowed: Callable[[float], bool], expected: str) -> None:
    for name in names:
        values = getattr(section, name)
        for value in values if isinstance(values, tuple) else (values,):
            if isinstance(value, int | float) and not is_allowed(value):  # others: None, or a word that is allowed
                raise UsageError(f"{name}: {value} is not allowed; expected {expected}")


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuses seeds that are none, not different or out of range: each counts as one training."""
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**31 for seed in seeds):
        raise UsageError(
            f"seeds: {list(seeds)} is not allowed; expected different whole numbers from 0 to {2**31 - 1}, at least one"
        )


def check_numbers(value: Any, path: pathlib.Path, where: str = "") -> None:
    """Refuses numbers that nothing in a spec can be: not finite, or beyond 32 bits."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_numbers(item, path, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_numbers(item, path, f"{where}[{index}]")
    elif isinstance(value, int | float) and not abs(value) < 2**31:
        raise UsageError(f"{path}: {where}: {value} is not allowed; expected a number between -2^31 and 2^31")
