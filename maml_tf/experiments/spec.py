"""Experiment specs: YAML files read into frozen dataclasses, strictly (see `schema`).

A spec states one cell of a table or one arm of a figure of the paper. Its keys are the fields of dataclasses, each a
symbol of the paper. The keys `experiment` and `method` decide which dataclass; `maml_tf.experiments.registry` lists
them. In the sections `tasks` and `model` the data set and the network decide which keys there are.
"""

import copy
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from maml_tf.errors import UsageError
from maml_tf.experiments.checks import above_zero, at_least_one, check_numbers, check_seeds, not_negative
from maml_tf.experiments.registry import EXPERIMENTS, built_in_experiments
from maml_tf.experiments.schema import from_mapping, given, read_yaml_mapping

# The columns of a curve that `maml_tf.evaluation.stepwise.Evaluation` measures (PROTOCOL 1.4).
BOTH_SETS = ("support set before any step", "query set after gradient step")
PROFILES = ("paper", "cpu", "smoke")
# Fields of a spec that the file itself does not hold.
FILLED_IN = ("name", "profile", "iterations_asked")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamSpec:
    """An outer loop that Adam drives (algorithms 1 and 2)."""

    iterations: int
    batch_size: int  # tasks per iteration
    learning_rate: float  # beta

    def __post_init__(self):
        at_least_one(self, "iterations", "batch_size")
        above_zero(self, "learning_rate")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaSpec(AdamSpec):
    """The outer loop of supervised experiments."""

    gradient_clip: float | None = None  # every entry of the meta-gradient is clipped to [-clip, clip]
    task_chunk: int | None = None  # the largest number of tasks differentiated at a time: bounds the memory
    schedule: Literal["cosine", "linear"] | None = None  # learning_rate falls to final_learning_rate at the end
    final_learning_rate: float | None = None

    def __post_init__(self):
        super().__post_init__()
        not_negative(self, "final_learning_rate")
        if (self.schedule is None) != (self.final_learning_rate is None):
            raise UsageError("schedule, final_learning_rate: only both or neither are allowed")
        at_least_one(self, "task_chunk")
        above_zero(self, "gradient_clip")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InnerSpec:
    """The inner loop (equation 1)."""

    train_steps: int  # gradient steps in training

    def __post_init__(self):
        if self.train_steps < 0:
            raise UsageError(f"train_steps: {self.train_steps} is not allowed; expected a whole number from 0")
        for name in ("step_size", "step_grid"):  # a subclass says which of them it has
            if hasattr(self, name):
                (not_negative if name == "step_size" else above_zero)(self, name)

    def check_adapts(self, method: str) -> None:
        """Refuses an inner loop that changes nothing, for a method that adapts in training."""
        if self.train_steps < 1:
            raise UsageError(f"inner.train_steps: {self.train_steps} is not allowed; {method!r} adapts: from 1")
        step_size = getattr(self, "step_size", None)
        if step_size == "tuned":
            raise UsageError(
                f"inner.step_size: 'tuned' is not allowed; {method!r} trains with a number, a tuned step is for the "
                "test of a network that is trained without adaptation"
            )
        if step_size == 0:
            raise UsageError(f"inner.step_size: 0 is not allowed; {method!r} adapts: expected a number above 0")

    def check_does_not_adapt(self, method: str) -> None:
        """Refuses keys that a method which is trained without an inner loop would ignore."""
        if self.train_steps:
            raise UsageError(
                f"inner.train_steps: {self.train_steps} is not allowed; {method!r} is trained without adaptation: "
                "expected 0"
            )
        for name in ("first_order", "likelihood_ratio", "adaptable", "update"):
            if getattr(self, name, None):
                raise UsageError(f"inner.{name}: not allowed; {method!r} is trained without adaptation")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationSpec:
    """Choosing the best model during training, on fixed validation tasks."""

    every: int  # iterations between two validations
    tasks: int  # number of fixed validation tasks
    steps: int  # gradient steps before the score

    def __post_init__(self):
        at_least_one(self, "every", "tasks")
        not_negative(self, "steps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """The test (PROTOCOL 1.4)."""

    tasks: int  # number of held-out tasks
    steps: int  # curves show 0..steps gradient steps

    def __post_init__(self):
        at_least_one(self, "tasks")
        not_negative(self, "steps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShotsEvaluationSpec(EvaluationSpec):
    """A test with several numbers of support points."""

    shots: tuple[int, ...]  # every K that is tested

    def __post_init__(self):
        super().__post_init__()
        at_least_one(self, "shots")
        if not self.shots or len(set(self.shots)) < len(self.shots):
            raise UsageError(f"shots: {list(self.shots)} is not allowed; expected different numbers, at least one")


@dataclasses.dataclass(frozen=True)
class TargetSpec:
    """The measured value that answers an entry of targets.yaml."""

    curve: str  # the curve in the result file, such as "5_shot"
    step: int  # gradient steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentSpec:
    """One cell of a table or one arm of a figure, under one profile: the keys that all experiments have.

    A subclass for each experiment adds the sections `tasks`, `model`, `inner`, `evaluation` and, where something is
    trained, `meta`; it is registered with `maml_tf.experiments.registry.register`.
    """

    implementation: ClassVar[str]  # "module:class" of the Experiment; set when the spec is registered
    columns: ClassVar[tuple[str, str]] = ("before adaptation", "after gradient step")  # 0, and the others, of a curve
    validation: ClassVar[ValidationSpec | None] = None

    name: str
    profile: str
    experiment: str
    method: str
    seeds: tuple[int, ...]
    targets: dict[str, TargetSpec]
    imports: tuple[str, ...] = ()  # modules that register something that the spec names
    iterations_asked: int = 0  # the paper's number of iterations in every profile

    if TYPE_CHECKING:

        def __getattr__(self, section: str) -> Any:
            """A section that a subclass adds."""

    def __post_init__(self):
        check_seeds(self.seeds)
        for target, answer in self.targets.items():
            if not 0 <= answer.step <= self.evaluation.steps:
                raise UsageError(
                    f"targets.{target}.step: {answer.step} is not allowed; evaluation.steps says 0 to "
                    f"{self.evaluation.steps}"
                )

    def score_at(self, step: int) -> str:
        """What the score at a gradient step of a curve is measured on, in words."""
        before, after = self.columns
        return before if step == 0 else f"{after} {step}"

    @property
    def iterations(self) -> int:
        """The number of meta-iterations: what a profile for fewer resources has less of."""
        return self.meta.iterations

    def with_iterations(self, iterations: int, profile: str) -> Self:
        """The same spec with another number of iterations, under the name of another profile."""
        meta = dataclasses.replace(self.meta, iterations=iterations)
        return dataclasses.replace(self, profile=profile, meta=meta)

    @property
    def hash(self) -> str:
        """Ten hexadecimal digits of everything that a training depends on; they name its run directory."""
        return self._hash_without("seeds", "targets", "evaluation")

    def run_folder(self, seed: int) -> pathlib.PurePath:
        """Where the training of a seed is, below the folder of runs. The hash keeps another spec's state out of it."""
        return pathlib.PurePath(self.name, f"{self.profile}-{self.hash}", f"seed_{seed}")

    @property
    def full_hash(self) -> str:
        """Ten hexadecimal digits of the whole spec."""
        return self._hash_without()

    def _hash_without(self, *fields: str) -> str:
        # Values at their default are left out, so that a new optional key renames no run directory.
        content = {key: value for key, value in given(self).items() if key not in fields}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=dataclasses.asdict).encode()).hexdigest()[:10]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisedSpec(ExperimentSpec):
    """An experiment whose test and validation tasks are drawn from a fixed distribution in blocks."""

    eval_batch_size: ClassVar[int]  # tasks of a block: enough to keep the cores busy, few enough for the memory

    def __post_init__(self):
        super().__post_init__()
        for name in ("evaluation", "validation"):
            section = getattr(self, name)
            if section is not None and section.tasks % self.block(section.tasks):
                raise UsageError(
                    f"{name}.tasks: {section.tasks} is not allowed; expected at most {self.eval_batch_size}, or a "
                    "multiple of it"
                )

    def block(self, num_tasks: int) -> int:
        """The number of tasks drawn and adapted at a time. Part of what the tasks are (see `Evaluation`)."""
        return min(self.eval_batch_size, num_tasks)


def read_spec(
    path: str | os.PathLike, profile: str = "paper", changes: Mapping[str, Any] | None = None
) -> ExperimentSpec:
    """Reads an experiment spec under a profile.

    The file's `profiles:` section maps each profile to the values that it overrides, by dotted keys
    (`meta.iterations: 2000`). `paper` overrides nothing.

    Args:
        path: the YAML file; its stem is the spec's name.
        profile: one of PROFILES.
        changes: values by dotted keys (`{"inner.step_size": 0.05}`) that come last. The spec is then a variant: it has
            a name of its own, and no target judges it.

    Raises:
        UsageError: the file is missing or not as described; the message names file, key and what is allowed.
    """
    path = pathlib.Path(path)
    if profile not in PROFILES:
        raise UsageError(f"profile {profile!r}: allowed are {', '.join(PROFILES)}")
    mapping = read_yaml_mapping(path)
    overrides = mapping.pop("profiles", {})
    if not isinstance(overrides, dict) or set(overrides) - set(PROFILES[1:]):
        raise UsageError(f"{path}: profiles: a mapping with keys from {', '.join(PROFILES[1:])} is allowed")
    if profile != "paper" and profile not in overrides:
        raise UsageError(f"{path}: profiles: has no {profile!r}; it has paper, {', '.join(overrides)}")
    specs = {}
    for each in ("paper", *overrides):  # all of them, so that a mistake in one is found before it is used
        changed = copy.deepcopy(mapping)
        section = overrides.get(each)
        if not isinstance(section, dict | None) or not all(isinstance(key, str) for key in section or ()):
            raise UsageError(
                f"{path}: profiles.{each}: {section!r} is not allowed; expected a mapping from keys such as "
                "meta.iterations to values"
            )
        for dotted, value in (section or {}).items():
            _override(changed, dotted, value, path, "profiles")
        for dotted, value in (changes or {}).items():
            _override(changed, dotted, value, path, "--set", optional=True)
        specs[each] = _spec_from(changed, each, path)
    spec = dataclasses.replace(specs[profile], iterations_asked=specs["paper"].iterations)
    return dataclasses.replace(spec, name=_variant_name(spec.name, changes), targets={}) if changes else spec


def _variant_name(name: str, changes: Mapping[str, Any]) -> str:
    """The name of a variant: `sinusoid_maml+inner.step_size=0.05`."""
    text = "+".join([name, *(f"{key}={value}" for key, value in sorted(changes.items()))])
    return re.sub(r"[^\w.=+-]", "-", text, flags=re.ASCII)[:150]


def _spec_from(mapping: dict[str, Any], profile: str, path: pathlib.Path) -> ExperimentSpec:
    for key in FILLED_IN:
        if key in mapping:
            raise UsageError(f"{path}: unknown key {key!r}: it is filled in when the file is read")
    check_numbers(mapping, path)
    _import_modules(mapping.get("imports", []), path)
    cls = _class_of(mapping, path)
    return from_mapping(cls, mapping | {"name": path.stem, "profile": profile}, path)


def _import_modules(names: Any, path: pathlib.Path) -> None:
    """Imports the modules of the key `imports`, which register something that the spec names."""
    if not isinstance(names, list):
        raise UsageError(f"{path}: imports: {names!r} is not allowed; expected a list of names of modules")
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(f"{path}: imports: {name!r} cannot be imported ({error})") from None


def _class_of(mapping: dict[str, Any], path: pathlib.Path) -> type[ExperimentSpec]:
    """The class that the keys `experiment` and `method` name."""
    built_in_experiments()
    methods: dict[str, list[str]] = {}
    for experiment, method in sorted(EXPERIMENTS, key=lambda pair: pair[0]):  # methods in the order of registration
        methods.setdefault(experiment, []).append(method)
    chosen = []
    for key in ("experiment", "method"):
        allowed = methods if key == "experiment" else methods[chosen[0]]
        if key not in mapping:
            raise UsageError(f"{path}: the key {key!r} is missing; allowed are {', '.join(map(repr, allowed))}")
        if not isinstance(mapping[key], str) or mapping[key] not in allowed:
            expected = ", ".join(map(repr, allowed))
            raise UsageError(f"{path}: {key}: {mapping[key]!r} is not allowed; expected one of {expected}")
        chosen.append(mapping[key])
    return EXPERIMENTS[tuple(chosen)]


def _override(
    mapping: dict[str, Any], dotted: str, value: Any, path: pathlib.Path, who: str, optional: bool = False
) -> None:
    """Sets a value by its dotted key. With `optional` a key that the spec leaves at its default may be set, too."""
    *sections, key = dotted.split(".")
    for section in sections:
        inside = mapping.get(section)
        if not isinstance(inside, dict):
            raise UsageError(f"{path}: {who}: {dotted}: there is no section {section!r} to override")
        mapping = inside
    if key not in mapping and not (optional and sections):
        raise UsageError(f"{path}: {who}: {dotted}: the spec has no such key; it has {', '.join(map(str, mapping))}")
    mapping[key] = value
