"""The rows and columns of the table, read from `methods.yaml`, and the results that fill them."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from maml_tf.experiments.results import Result, read_result, result_path
from maml_tf.experiments.schema import from_mapping, read_yaml_mapping
from maml_tf.experiments.spec import ExperimentSpec, read_spec
from reproduce import paths

METHODS = pathlib.Path(__file__).with_name("methods.yaml")
SPECS = paths.SPECS / "beyond"
COST = "cost.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """Tasks that all methods are compared on."""

    title: str
    profile: str
    curve: str  # of the result files
    steps: tuple[int, ...]  # of this curve


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """What a method's paper reports."""

    value: str
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A method: its specs, published numbers, and steps at test where they are not the column's, each by column."""

    title: str
    specs: dict[str, str]
    published: dict[str, Published] = dataclasses.field(default_factory=dict)
    steps: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Methods:
    """The content of `methods.yaml`."""

    columns: dict[str, Column]
    rows: tuple[Row, ...]


def read_methods() -> Methods:
    """The table's rows and columns."""
    content = read_yaml_mapping(METHODS)
    for row in content["rows"]:
        row.setdefault("published", {})
        row.setdefault("steps", {})
    return from_mapping(Methods, content, METHODS)


def spec_path(name: str) -> pathlib.Path:
    """The file of a spec of the comparison."""
    beyond = SPECS / f"{name}.yaml"
    return beyond if beyond.exists() else paths.SPECS / f"{name}.yaml"


def beyond_store(store: paths.Store) -> paths.Store:
    """The part of a store that holds results of `specs/beyond`."""
    parts = {field.name: getattr(store, field.name) for field in dataclasses.fields(store)}
    return paths.Store(**{name: path / "beyond" if name != "figures" else path for name, path in parts.items()})


def result_of(name: str, column: Column, stores: Sequence[paths.Store]) -> Result | None:
    """The result of a spec under a column's profile, run to its end; of several stores the first that has one."""
    spec = read_spec(spec_path(name), column.profile) if _has_profile(name, column.profile) else None
    for store in stores if spec is not None else ():
        for folder in (beyond_store(store).results, store.results):
            path = result_path(name, column.profile, folder)
            if path.exists() and _is_of(result := read_result(path), spec):
                return result
    return None


def costs_of(stores: Sequence[paths.Store]) -> dict[str, dict[str, float]]:
    """{spec: {"relative": ..., "mebibytes": ...}} of the first store that has measured costs."""
    for store in stores:
        path = beyond_store(store).comparison / COST
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))["costs"]
    return {}


def _has_profile(name: str, profile: str) -> bool:
    return profile == "paper" or profile in read_yaml_mapping(spec_path(name)).get("profiles", {})


def _is_of(result: Result, spec: ExperimentSpec) -> bool:
    return (result.spec_hash, result.profile) == (spec.hash, spec.profile) and result.iterations_done >= spec.iterations
