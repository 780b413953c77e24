"""The gate: what fails a build."""

import dataclasses
import pathlib
import re

from maml_tf._io import atomic_write
from maml_tf._yaml import read_yaml
from maml_tf.errors import EXIT_OUTSIDE_TOLERANCE, EXIT_WITHIN_TOLERANCE, UsageError
from maml_tf.experiments.schema import from_mapping
from reproduce.comparison.drift import drifts
from reproduce.comparison.verdicts import HOLDS, JUDGED, MISS, Comparison, Judgement, Row


@dataclasses.dataclass(frozen=True)
class Judged:
    """How many gated targets and how many claims have a verdict."""

    targets: int
    claims: int


def read_expected(path: str | pathlib.Path) -> Judged:
    """Reads reproduce/gate.yaml: the least numbers that the published results must judge."""
    path = pathlib.Path(path)
    expected = from_mapping(Judged, read_yaml(path), path)
    if min(dataclasses.astuple(expected)) < 0:
        raise UsageError(f"{path}: targets, claims: expected whole numbers from 0")
    return expected


def write_expected(path: pathlib.Path, expected: Judged) -> None:
    """Writes other numbers into gate.yaml; its comments stay."""
    text = path.read_text(encoding="utf-8")
    for name, value in dataclasses.asdict(expected).items():
        text = re.sub(rf"^{name}:.*$", f"{name}: {value}", text, flags=re.MULTILINE)
    with atomic_write(path) as file:
        file.write(text)


def judged_by_published(comparison: Comparison) -> Judged:
    """How many gated targets and claims the published results judge."""
    rows, claims = (
        sum(row.published.verdict in JUDGED for row in group) for group in (comparison.rows, comparison.claims)
    )
    return Judged(rows, claims)


def gate(comparison: Comparison, expected: Judged | None = None) -> tuple[int, list[str]]:
    """The exit code of a comparison, and the reasons.

    It fails where a published result or one of yours is outside its tolerance and is not a known failure; where a
    published result holds that is listed as a known failure, unless it is flaky; where a result of yours is not the
    published one again (`drift`), which a known failure does not excuse; and where the published results judge fewer
    targets or claims than expected, because result files or curves are missing.

    Args:
        comparison: everything, or some of its rows.
        expected: the least numbers; None: any number.

    Returns:
        (exit code, messages)
    """
    messages = []
    for row in comparison.all_rows:
        if row.yours is not None:
            messages += _miss(row, row.yours, "yours")
        messages += _miss(row, row.published, "published")
        listed = row.known_failure is not None and not row.known_failure.flaky
        if listed and row.published.verdict in HOLDS:
            messages.append(f"{row.target.id}: passes; remove it from the list of known failures")
    messages += drifts(comparison.results, comparison.own_results)
    if expected is not None:
        judged = judged_by_published(comparison)
        for kind in ("targets", "claims"):
            found, least = getattr(judged, kind), getattr(expected, kind)
            if found < least:
                messages.append(
                    f"the published results judge {found} {kind}, reproduce/gate.yaml expects {least} or more: "
                    "result files or curves are missing"
                )
    return (EXIT_OUTSIDE_TOLERANCE if messages else EXIT_WITHIN_TOLERANCE), messages


def _miss(row: Row, judgement: Judgement, whose: str) -> list[str]:
    if judgement.verdict != MISS or row.known_failure is not None:
        return []
    return [f"{row.target.id}: {whose}: outside its tolerance and not a known failure. {judgement.detail}"]
