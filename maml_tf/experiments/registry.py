"""The experiments and their methods, by name.

    @register("image_classification", "maml", implementation="maml_tf.experiments.few_shot:FewShotExperiment")
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class FewShotSpec(SupervisedSpec): ...

says which keys a spec with these values of `experiment` and `method` has, and which `Experiment` runs it. The
implementation is named, not imported: specs are read, and their mistakes reported, before TensorFlow is loaded.

The other open lists are next to what they list: data sets (`maml_tf.tasks.datasets`), networks
(`maml_tf.models.factory`), environments (`maml_tf.rl.envs.registry`), adaptable weights (`maml_tf.meta.adaptable`) and
inner updates (`maml_tf.meta.inner_updates`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from maml_tf._registry import Registry

if TYPE_CHECKING:
    from maml_tf.experiments.base import Experiment
    from maml_tf.experiments.spec import ExperimentSpec

Spec = TypeVar("Spec", bound="type[ExperimentSpec]")

BUILT_IN = ("sinusoid_spec", "few_shot_spec", "rl_spec", "reptile_spec")

EXPERIMENTS: Registry[type[ExperimentSpec]] = Registry("experiment")


def register(experiment: str, *methods: str, implementation: str) -> Callable[[Spec], Spec]:
    """A class decorator that registers a spec class under an experiment and its methods.

    Args:
        experiment, methods: values of the spec's keys `experiment` and `method`.
        implementation: the Experiment class, as "module:class".

    Raises:
        ValueError: an experiment and method are taken by another class.
    """

    def add(spec_class: Spec) -> Spec:
        spec_class.implementation = implementation
        for method in methods:
            EXPERIMENTS.register((experiment, method))(spec_class)
        return spec_class

    return add


def built_in_experiments() -> None:
    """Imports the modules that register this package's experiments."""
    for module in BUILT_IN:
        importlib.import_module(f"maml_tf.experiments.{module}")


def experiment_class(spec: ExperimentSpec) -> type[Experiment]:
    """The Experiment class that runs a spec."""
    module, _, name = spec.implementation.partition(":")
    return getattr(importlib.import_module(module), name)
