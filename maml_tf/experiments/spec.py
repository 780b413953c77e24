"""Experiment specs: YAML files read into frozen dataclasses, strictly.

A spec states one cell or arm of the paper; its keys are the fields of the dataclasses below, each a symbol of the
paper. An unknown key, a missing key or a wrong type is an error that names the file, the key and what is allowed.
"""

import copy
import dataclasses
import hashlib
import json
import pathlib
import types
import typing

from maml_tf._yaml import read_yaml
from maml_tf.errors import UsageError

PROFILES = ("paper", "cpu", "smoke")
# float32: in full, on GPUs too. tensor_float_32: factors rounded to 10 bits where the GPU has tensor cores for that.
# bfloat16: factors and products of the convolutions and hidden layers rounded to 8 bits, wherever it runs.
PRECISIONS = ("float32", "tensor_float_32", "bfloat16")
# Tasks drawn and adapted at a time in validation and test, by experiment: enough to keep the cores busy, few enough for
# the memory. Part of what the tasks are (see maml_tf/evaluation/stepwise.py).
TASKS_AT_A_TIME = {"image_classification": 20, "sinusoid": 600}


def _at_least_one(section, *names):
    """Raises a UsageError where one of these numbers of a section is given and below one."""
    for name in names:
        values = getattr(section, name)
        for value in values if isinstance(values, tuple) else (values,):
            if value is not None and value < 1:
                raise UsageError(f"{name}: {value} is not allowed; expected a whole number from 1")


@dataclasses.dataclass(frozen=True)
class SinusoidTaskSpec:
    """The sinusoid tasks of training (section 5.1)."""

    shots: int  # K, support points
    queries: int  # query points
    reveal_task: bool = False  # the oracle sees (x, A, phi)

    def __post_init__(self):
        _at_least_one(self, "shots", "queries")


@dataclasses.dataclass(frozen=True)
class ImageTaskSpec:
    """N-way K-shot classification tasks (section 5.2)."""

    dataset: typing.Literal["omniglot", "mini_imagenet"]
    ways: int  # N
    shots: int  # K, support images per class
    train_queries: int  # query images per class in training and validation
    test_queries: int  # query images per class at test
    rotations: bool = False  # one random rotation by a multiple of 90 degrees per class and task
    split_seed: int | None = None  # omniglot: seed of the split of the characters; mini_imagenet has an official split

    def __post_init__(self):
        _at_least_one(self, "ways", "shots", "train_queries", "test_queries")
        if (self.dataset == "omniglot") != (self.split_seed is not None):
            raise UsageError("split_seed: needed for omniglot, and allowed for it only")


@dataclasses.dataclass(frozen=True)
class EnvironmentTaskSpec:
    """Goals in a family of environments (section 5.3)."""

    environment: str  # a name in maml_tf/rl/envs/registry.py
    trajectories: int = 0  # a task's samples in training and each stage, in trajectories of full length
    goal_every: typing.Literal["task", "trajectory"] = "task"  # what gets a goal of its own in training
    reveal_task: bool = False  # the oracle sees the goal

    def __post_init__(self):
        from maml_tf.rl.envs.registry import ENVIRONMENTS  # Gymnasium: for a spec that names an environment only

        if self.environment not in ENVIRONMENTS:
            allowed = ", ".join(map(repr, ENVIRONMENTS))
            raise UsageError(f"environment: {self.environment!r} is not allowed; expected one of {allowed}")


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The network."""

    network: typing.Literal["mlp", "omniglot_conv", "mini_imagenet_conv", "gaussian_policy"]
    hidden: tuple[int, ...] = ()  # mlp, gaussian_policy: units of the hidden layers
    batch_norm: bool = False  # mlp: batch norm in every hidden layer
    filters: int = 0  # conv: filters of every block
    activation: typing.Literal["relu", "tanh"] = "relu"  # gaussian_policy: of the hidden layers
    context_size: int = 0  # of the context vector z (Appendix C.2): inputs of an mlp or a policy, channels of a conv
    precision: typing.Literal[PRECISIONS] = "float32"  # classifiers: of what their matrix products multiply

    def __post_init__(self):
        has_filters = self.network.endswith("_conv")
        if has_filters != bool(self.filters) or has_filters == bool(self.hidden):
            raise UsageError("mlp and gaussian_policy need hidden units, the convolutional networks filters instead")


@dataclasses.dataclass(frozen=True)
class InnerSpec:
    """The inner loop (equation 1)."""

    step_size: float | typing.Literal["tuned"]  # alpha; "tuned": the best of `step_grid` on tasks apart from the test's
    train_steps: int  # gradient steps in training
    first_order: bool = False
    step_grid: tuple[float, ...] = ()
    decay_grid: tuple[float, ...] = ()  # fine-tuning: factors by which each step is smaller than the one before
    recompute: bool = False  # inner steps are recomputed when differentiating: less memory, more time
    likelihood_ratio: bool = False  # reinforcement learning: inside pi / pi_old x advantage, not log pi x advantage

    def __post_init__(self):
        if self.train_steps < 0:
            raise UsageError(f"train_steps: {self.train_steps} is not allowed; expected a whole number from 0")


@dataclasses.dataclass(frozen=True)
class MetaSpec:
    """The outer loop (algorithms 1 and 2)."""

    iterations: int
    batch_size: int  # tasks per iteration
    learning_rate: float  # beta, of Adam
    gradient_clip: float | None = None  # every entry of the meta-gradient into [-clip, clip]
    tasks_at_once: int | None = None  # tasks differentiated at a time at most: bounds the memory (see MAML)

    def __post_init__(self):
        _at_least_one(self, "iterations", "batch_size", "tasks_at_once")


@dataclasses.dataclass(frozen=True)
class TrustRegionSpec:
    """The outer loop of reinforcement learning (algorithm 3): TRPO (PROTOCOL 3.4)."""

    iterations: int
    batch_size: int  # tasks per iteration
    max_kl: float  # limit of the mean KL divergence

    def __post_init__(self):
        _at_least_one(self, "iterations", "batch_size")
        if self.max_kl <= 0:
            raise UsageError(f"max_kl: {self.max_kl} is not allowed; expected a number above 0")


@dataclasses.dataclass(frozen=True)
class MultiTaskSpec:
    """Averaging the parameters of independently trained regressors (Appendix C.1)."""

    regulariser: typing.Literal["none", "l2", "to_mean"]
    regressors: int
    threshold: float  # mean squared error that every regressor must reach
    strengths: tuple[float, ...]  # the regulariser's strength: the largest that still reaches the threshold
    batch_size: int  # fresh points per training step
    learning_rate: float
    max_steps: int  # training steps of one regressor at the most

    def __post_init__(self):
        _at_least_one(self, "regressors", "batch_size", "max_steps")


@dataclasses.dataclass(frozen=True)
class ValidationSpec:
    """Choosing the best model during training, on fixed validation tasks."""

    every: int  # iterations between two validations
    tasks: int  # fixed validation tasks
    steps: int  # gradient steps before the score

    def __post_init__(self):
        _at_least_one(self, "every", "tasks")


@dataclasses.dataclass(frozen=True)
class EvaluationSpec:
    """The test (PROTOCOL 1.4)."""

    tasks: int  # held-out tasks
    steps: int  # curves show 0..steps gradient steps
    shots: tuple[int, ...] = ()  # sinusoid: every K tested

    def __post_init__(self):
        _at_least_one(self, "tasks", "shots")


@dataclasses.dataclass(frozen=True)
class ReturnEvaluationSpec:
    """The test of reinforcement learning: returns while a policy adapts to fixed goals (PROTOCOL 3.6)."""

    tasks: int  # goals: the first so many of the 40 fixed ones
    trajectories: int  # a task's samples at each step, in trajectories of full length
    steps: int  # curves show 0..steps gradient steps
    step_size: float = 0.0  # alpha of the first gradient step
    later_factors: tuple[float, ...] = (0.5,)  # the later steps' alpha over the first's; a curve for each

    def __post_init__(self):
        _at_least_one(self, "tasks", "trajectories")
        if not self.later_factors:
            raise UsageError("later_factors: at least one is needed")


@dataclasses.dataclass(frozen=True)
class TargetSpec:
    """Which measured value answers which entry of targets.yaml."""

    curve: str  # the curve in the result file, as "5_shot"
    step: int  # gradient steps


@dataclasses.dataclass(frozen=True)
class ExperimentSpec:
    """One cell of a table or one arm of a figure, under one profile."""

    name: str
    profile: str
    experiment: typing.Literal["sinusoid", "image_classification", "reinforcement_learning"]
    method: typing.Literal[
        "maml", "pretrained", "oracle", "random", "multitask", "supervised", "context_vector"  # only z is adapted
    ]
    tasks: SinusoidTaskSpec | ImageTaskSpec | EnvironmentTaskSpec
    model: ModelSpec
    inner: InnerSpec
    evaluation: EvaluationSpec | ReturnEvaluationSpec
    seeds: tuple[int, ...]
    targets: dict[str, TargetSpec]
    meta: MetaSpec | TrustRegionSpec | None = None
    multitask: MultiTaskSpec | None = None
    validation: ValidationSpec | None = None
    iterations_asked: int = 0  # the paper's number of iterations, whatever the profile; filled in by `read_spec`

    def __post_init__(self):
        section = {"multitask": "multitask", "random": None}.get(self.method, "meta")
        if section is not None and getattr(self, section) is None:
            raise UsageError(f"the method {self.method!r} needs a section {section!r}")
        if self.method == "context_vector" and not self.model.context_size:
            raise UsageError("the method 'context_vector' needs model.context_size")
        if self.experiment == "reinforcement_learning":
            self._check_reinforcement_learning()
        elif self.inner.likelihood_ratio:
            raise UsageError("inner.likelihood_ratio: allowed for reinforcement_learning only")
        if self.validation is not None and self.experiment != "image_classification":
            raise UsageError("validation: allowed for image_classification only; elsewhere the protocol has none")
        if self.experiment != "reinforcement_learning":
            self._check_blocks("evaluation", "validation")
        for target, answer in self.targets.items():
            if not 0 <= answer.step <= self.evaluation.steps:
                raise UsageError(
                    f"targets.{target}.step: {answer.step} is not allowed; evaluation.steps says 0 to "
                    f"{self.evaluation.steps}"
                )
        if self.model.precision != "float32" and self.experiment != "image_classification":
            raise UsageError("model.precision: other than 'float32' for image_classification only")

    def _check_blocks(self, *sections):
        """Raises a UsageError where a section's tasks cannot be drawn in whole blocks."""
        for name in sections:
            section = getattr(self, name)
            if section is not None and section.tasks % self.block(section.tasks):
                raise UsageError(
                    f"{name}.tasks: {section.tasks} is not allowed; expected at most "
                    f"{TASKS_AT_A_TIME[self.experiment]}, or a multiple of it"
                )

    def _check_reinforcement_learning(self):
        """Raises a UsageError for what the training of a policy cannot do, or would pass over in silence."""
        why = "for reinforcement_learning"
        if self.method in ("multitask", "supervised"):
            raise UsageError(f"method: {self.method!r} is not allowed {why}")
        if not isinstance(self.tasks, EnvironmentTaskSpec):
            raise UsageError(
                f"tasks: a mapping with the keys {', '.join(_fields(EnvironmentTaskSpec))} is needed {why}"
            )
        if self.method != "random" and self.tasks.trajectories < 1:
            raise UsageError(
                f"tasks.trajectories: {self.tasks.trajectories} is not allowed; expected a whole number from 1"
            )
        if self.model.network != "gaussian_policy":
            raise UsageError(f"model.network: {self.model.network!r} is not allowed {why}; expected 'gaussian_policy'")
        if self.inner.step_size == "tuned":
            raise UsageError(f"inner.step_size: 'tuned' is not allowed {why}; expected a number")
        unused = {
            "model": ("batch_norm", "filters"),
            "inner": ("first_order", "recompute", "step_grid", "decay_grid"),
            "meta": ("gradient_clip", "tasks_at_once"),
        }
        for section, names in unused.items():
            for name in names:
                if getattr(getattr(self, section), name, None):
                    raise UsageError(f"{section}.{name}: has no meaning {why}")

    def block(self, num_tasks):
        """Tasks drawn and adapted at a time where so many are scored (supervised experiments)."""
        return min(TASKS_AT_A_TIME[self.experiment], num_tasks)

    @property
    def iterations(self):
        """Meta-iterations, or the number of multi-task regressors: what a shorter profile has fewer of."""
        if self.method == "random":  # nothing is trained
            return 0
        return self.meta.iterations if self.meta else self.multitask.regressors

    @property
    def hash(self):
        """Ten hexadecimal digits of everything that a training depends on; they name its run folder."""
        return self._hash_without("seeds", "targets", "evaluation")

    @property
    def full_hash(self):
        """Ten hexadecimal digits of the whole spec."""
        return self._hash_without()

    def _hash_without(self, *fields):
        content = {key: value for key, value in _given(self).items() if key not in fields}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=dataclasses.asdict).encode()).hexdigest()[:10]


def read_spec(path, profile="paper"):
    """Reads an experiment spec under a profile.

    The file's `profiles:` section maps each profile to the values it overrides, by dotted keys
    (`meta.iterations: 2000`). `paper` overrides nothing.

    Args:
        path: the YAML file; its stem is the spec's name.
        profile: one of PROFILES.

    Returns:
        An ExperimentSpec.

    Raises:
        UsageError: the file is missing or not as described; names file, key and what is allowed.
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
    for each in ("paper", *overrides):  # all of them, so that a mistake in one is not found only when it is used
        changed = copy.deepcopy(mapping) | {"name": path.stem, "profile": each}
        for dotted, value in (overrides.get(each) or {}).items():
            _override(changed, dotted, value, path)
        specs[each] = from_mapping(ExperimentSpec, changed, path)
    return dataclasses.replace(specs[profile], iterations_asked=specs["paper"].iterations)


def read_yaml_mapping(path):
    """The mapping in a YAML file, or a UsageError that names the file and the place in it."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a mapping of keys is expected at the top level")
    return content


def _override(mapping, dotted, value, path):
    *sections, key = dotted.split(".")
    for section in sections:
        mapping = mapping.get(section)
        if not isinstance(mapping, dict):
            raise UsageError(f"{path}: profiles: {dotted}: there is no section {section!r} to override")
    if key not in mapping:
        raise UsageError(f"{path}: profiles: {dotted}: the spec has no such key; it has {', '.join(mapping)}")
    mapping[key] = value


def from_mapping(cls, mapping, path, where=""):
    """Builds a frozen dataclass from a mapping, checking every key and type.

    Args:
        cls: a dataclass whose annotations are bool, int, float, str, None, Literal, tuple[x, ...], dict[str, x], other
            dataclasses, or unions of these.
        mapping: what the YAML file holds.
        path: the file, for messages.
        where: dotted key of the mapping inside the file, for messages.

    Raises:
        UsageError: names file, key and what is allowed.
    """
    at = f"{path}: {where}" if where else f"{path}"
    if not isinstance(mapping, dict):
        raise UsageError(f"{at}: a mapping with the keys {', '.join(_fields(cls))} is expected, not {mapping!r}")
    for key in mapping:
        if key not in _fields(cls):
            raise UsageError(f"{at}: unknown key {key!r}; allowed are {', '.join(_fields(cls))}")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in _fields(cls).items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], path, f"{where}.{name}" if where else name)
        elif field.default is dataclasses.MISSING:
            raise UsageError(f"{at}: the key {name!r} is missing")
    try:
        return cls(**values)
    except UsageError as error:
        raise UsageError(f"{at}: {error}") from None


def _fields(cls):
    return {field.name: field for field in dataclasses.fields(cls)}


def _given(value):
    """A dataclass as a mapping without what stands at its default, so that a new optional key renames no run folder."""
    if not dataclasses.is_dataclass(value):
        return value
    given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: _given(item) for name, item in given.items() if item != _fields(type(value))[name].default}


def _convert(hint, value, path, where):
    if hint is typing.Any:
        return value
    wrong = UsageError(f"{path}: {where}: {value!r} is not allowed; expected {_describe(hint)}")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(arguments, value, path, where, wrong)
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, path, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise wrong
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise wrong
        return tuple(_convert(arguments[0], item, path, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise wrong
        return {str(key): _convert(arguments[1], item, path, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise wrong
    return value


def _convert_union(alternatives, value, path, where, wrong):
    """A union of dataclasses is told apart by its keys; any other union by trying."""
    candidates = [hint for hint in alternatives if dataclasses.is_dataclass(hint)]
    if candidates and isinstance(value, dict):
        best = max(candidates, key=lambda cls: len(set(value) & set(_fields(cls))))
        return from_mapping(best, value, path, where)
    for hint in alternatives:
        if dataclasses.is_dataclass(hint):
            continue
        try:
            return _convert(hint, value, path, where)
        except UsageError:
            continue
    raise wrong


def _describe(hint):
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin is tuple:
        return f"a list of {_describe(arguments[0])}"
    if origin is dict:
        return f"a mapping to {_describe(arguments[1])}"
    if hint is type(None):
        return "null"
    if dataclasses.is_dataclass(hint):
        return f"a mapping with the keys {', '.join(_fields(hint))}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text", typing.Any: "anything"}[
        hint
    ]
