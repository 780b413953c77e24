"""The numbers and claims that this reproduction misses, each with its cause (reproduce/known_failures.yaml)."""

import dataclasses
import pathlib

from maml_tf._yaml import read_yaml
from maml_tf.errors import UsageError
from maml_tf.experiments.schema import from_mapping
from reproduce.comparison.targets import Targets


@dataclasses.dataclass(frozen=True)
class KnownFailure:
    """A target or claim that was looked into and still fails.

    Attributes:
        id: of targets.yaml.
        group: the kind of cause, a heading of docs/known_failures.md.
        cause: the likely cause, with what was measured.
        tried: what was tried against it.
        since: the day, as "2026-11-21".
        flaky: rounding on another processor or by another compiler can make it pass; then the gate accepts both.
    """

    id: str
    group: str
    cause: str
    tried: str
    since: str
    flaky: bool = False


def read_known_failures(path: str | pathlib.Path, targets: Targets) -> tuple[KnownFailure, ...]:
    """Reads known_failures.yaml.

    Raises:
        UsageError: a key is missing or wrong, or an id is unknown, given twice or never judged.
    """
    path = pathlib.Path(path)
    items = read_yaml(path) or []
    if not isinstance(items, list):
        raise UsageError(f"{path}: a list of entries with the keys id, group, cause, tried, since is expected")
    known = tuple(from_mapping(KnownFailure, item, path, f"[{index}]") for index, item in enumerate(items))
    judged = {target.id: target.gated for target in targets.entries} | {claim.id: True for claim in targets.claims}
    seen = set()
    for failure in known:
        if failure.id not in judged:
            raise UsageError(f"{path}: {failure.id}: targets.yaml has no such id")
        if not judged[failure.id]:
            raise UsageError(f"{path}: {failure.id}: targets.yaml does not gate it, so it cannot fail")
        if failure.id in seen:
            raise UsageError(f"{path}: {failure.id}: is listed twice")
        seen.add(failure.id)
    return known
