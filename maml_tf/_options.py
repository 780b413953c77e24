"""The options that several commands share, and the spec that they choose."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from maml_tf._yaml import parse_yaml
from maml_tf.errors import UsageError
from maml_tf.experiments.spec import PROFILES, ExperimentSpec, read_spec
from maml_tf.models.factory import PRECISIONS, NetworkSpec


def add_spec_options(parser: argparse.ArgumentParser) -> None:
    """The profile that a spec is read under, and values that replace its keys."""
    parser.add_argument(
        "--profile", choices=PROFILES, default="paper", help="paper (default): the protocol to the letter"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the spec's seeds")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="instead of the spec's model.precision: a variant with its own name and results, judged by no target",
    )


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """The options that every training has."""
    add_spec_options(parser)
    unfinished = parser.add_mutually_exclusive_group()
    unfinished.add_argument("--resume", action="store_true", help="continue trainings that were stopped")
    unfinished.add_argument("--restart", action="store_true", help="train from the beginning, also finished trainings")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard scalars into the runs folder")
    add_folder_options(parser)


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """The folders of the trainings and of the data sets."""
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs"), help="default: runs")
    add_data_option(parser)


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """The folder of the data sets."""
    parser.add_argument(
        "--data", type=pathlib.Path, default=pathlib.Path("data/prepared"), help="default: data/prepared"
    )


def spec_from(path: str | os.PathLike, arguments: argparse.Namespace) -> ExperimentSpec:
    """The spec of a file, under the chosen profile, changes, seeds and precision.

    Raises:
        UsageError: the file is not a spec, or its network cannot be computed in the chosen precision.
    """
    spec = read_spec(path, arguments.profile, changes_from(getattr(arguments, "changes", None) or ()))
    if arguments.precision and arguments.precision != spec.model.precision:
        if not isinstance(spec.model, NetworkSpec):
            raise UsageError(f"{path}: --precision {arguments.precision}: {spec.model.network} has float32 only")
        model = dataclasses.replace(spec.model, precision=arguments.precision)
        spec = dataclasses.replace(spec, name=f"{spec.name}_{arguments.precision}", model=model, targets={})
    return dataclasses.replace(spec, seeds=tuple(arguments.seeds)) if arguments.seeds else spec


def changes_from(arguments: Sequence[str]) -> dict[str, Any]:
    """The values of `--set KEY=VALUE ...` by key; a value is read as in a spec file.

    Raises:
        UsageError: one is not of that form, or a key is given twice.
    """
    changes = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not (equals and key and text):
            raise UsageError(f"--set {argument}: expected KEY=VALUE, such as inner.step_size=0.05")
        if key in changes:
            raise UsageError(f"--set {key}: given twice")
        changes[key] = parse_yaml(text, f"--set {key}")
    return changes


def add_changes_option(parser: argparse.ArgumentParser) -> None:
    """Values that make a variant of a spec."""
    parser.add_argument(
        "--set",
        nargs="+",
        dest="changes",
        metavar="KEY=VALUE",
        help="values in place of the spec's, such as inner.step_size=0.05: a variant with a name and results of "
        "its own, which no target judges",
    )


def whole_number_from(least: int) -> Callable[[str], int]:
    """A type of an option: a whole number from `least`."""

    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else -1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; expected a whole number from {least}")
        return number

    return read
