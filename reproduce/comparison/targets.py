"""The paper's numbers (reproduce/targets.yaml), read strictly."""

import dataclasses
import math
import pathlib
import typing

from maml_tf.errors import UsageError
from maml_tf.experiments.schema import from_mapping, read_yaml_mapping

# Keys of a target's setting that count something.
COUNTS = ("ways", "shots", "eval_query_per_class", "n_tasks", "tasks", "trajectories")


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """The allowed distance from the paper's mean, in its unit (`abs`) or as a fraction of it (`rel`)."""

    type: typing.Literal["abs", "rel"]
    value: float
    rule: typing.Literal["two_sided", "two_sided_or_better"]

    def __post_init__(self):
        if not 0 < self.value < math.inf:
            raise UsageError(f"value: {self.value!r} is not allowed; expected a number above 0")


@dataclasses.dataclass(frozen=True)
class Target:
    """One number of the paper; the keys are explained at the head of targets.yaml."""

    id: str
    experiment: str
    where: str
    method: str
    setting: dict[str, typing.Any]
    grad_step: int | str | None
    metric: str
    paper_mean: float | None
    paper_ci95: float | None
    direction: typing.Literal["higher", "lower", "exact"]
    source: str
    source_kind: str
    reproduce: bool
    tolerance: Tolerance | None
    tolerance_reason: str
    diagnostic_only: bool = False
    duplicate_of: str | None = None
    confidence: str | None = None
    confidence_grad_step: str | None = None
    note: str | None = None
    first_step_size: float | None = None
    paper_std_over_tasks: float | None = None
    n_distinct_values: int | None = None
    n_forward: int | None = None
    forward_mean: float | None = None
    backward_mean: float | None = None
    paper_iterations: int | None = None

    def __post_init__(self):
        for name in ("paper_ci95", "paper_std_over_tasks"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name}: {value} is not allowed; expected a number from 0")
        if self.paper_iterations is not None and self.paper_iterations < 1:
            raise UsageError(f"paper_iterations: {self.paper_iterations} is not allowed; expected a number from 1")
        for name, value in self.setting.items():
            counts = isinstance(value, int) and not isinstance(value, bool)
            if counts and name in COUNTS and value < 1:
                raise UsageError(f"setting.{name}: {value} is not allowed; expected a whole number from 1")

    @property
    def gated(self) -> bool:
        """Whether a measured value is judged against the tolerance."""
        return self.reproduce and self.tolerance is not None and not self.diagnostic_only

    @property
    def half_width(self) -> float:
        """The tolerance in the metric's own unit."""
        return self.tolerance.value * (abs(self.paper_mean) if self.tolerance.type == "rel" else 1.0)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of the paper that is not a single number."""

    id: str
    experiment: str
    claim: str
    source: str


@dataclasses.dataclass(frozen=True)
class Targets:
    """Everything in targets.yaml."""

    entries: tuple[Target, ...]
    claims: tuple[Claim, ...]


def read_targets(path: str | pathlib.Path) -> Targets:
    """Reads targets.yaml; UsageError names file, entry and key."""
    path = pathlib.Path(path)
    mapping = read_yaml_mapping(path)
    entries = tuple(_read_all(Target, mapping, "entries", path))
    claims = tuple(_read_all(Claim, mapping, "claims", path))
    ids = [item.id for item in (*entries, *claims)]
    for id_ in ids:
        if ids.count(id_) > 1:
            raise UsageError(f"{path}: the id {id_!r} is given {ids.count(id_)} times; ids are unique")
    for entry in entries:
        if entry.duplicate_of is not None and entry.duplicate_of not in ids:
            raise UsageError(f"{path}: {entry.id}: duplicate_of: there is no entry {entry.duplicate_of!r}")
        if entry.gated and (entry.paper_mean is None or not math.isfinite(entry.paper_mean)):
            raise UsageError(f"{path}: {entry.id}: paper_mean: a target with a tolerance needs a number")
    return Targets(entries, claims)


def _read_all(cls, mapping, key, path):
    items = mapping.get(key)
    if not isinstance(items, list):
        raise UsageError(f"{path}: {key}: a list is expected")
    for index, item in enumerate(items):
        name = item.get("id", index) if isinstance(item, dict) else index
        yield from_mapping(cls, item, path, f"{key}[{name}]")
