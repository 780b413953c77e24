"""Ours against the paper's: a verdict for every target and claim, and the gate that a build fails by."""

import dataclasses
import math
import pathlib
import re

import yaml

from maml_tf.errors import EXIT_OUTSIDE_TOLERANCE, EXIT_WITHIN_TOLERANCE, UsageError
from maml_tf.experiments.results import TargetValue
from maml_tf.experiments.spec import from_mapping
from reproduce.comparison.claims import Evidence, judge

PASS, BETTER, MISS = "pass", "better", "miss"
REDUCED, DIAGNOSTIC, NOT_RUN, CITATION = "reduced", "not judged", "not run", "citation"
GAP_CLOSED = re.compile(r"(?P<task>.+)_gap_closed_step(?P<step>\d+)")


@dataclasses.dataclass(frozen=True)
class KnownFailure:
    """A miss that was looked into and could not be mended (reproduce/known_failures.yaml).

    `group`: the kind of cause, by which docs/known_failures.md is ordered. `rounding_decides`: another processor's or
    compiler's rounding can make it hold, and that does not fail the gate.
    """

    id: str
    cause: str
    tried: str
    since: str
    rounding_decides: bool = False
    group: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """One target or claim: the paper's value, ours, the verdict.

    Attributes:
        target: the Target or Claim.
        ours: TargetValue, or None.
        result: the Result that `ours` comes from (of a derived value the weakest part's), or None (claims).
        verdict: PASS, BETTER, MISS, REDUCED, DIAGNOSTIC, NOT_RUN or CITATION.
        detail: for the reader: seeds inside the tolerance, iterations done, a claim's numbers.
        known_failure: the KnownFailure listed under this id, or None.
    """

    target: object
    ours: TargetValue | None
    result: object
    verdict: str
    detail: str = ""
    known_failure: KnownFailure | None = None

    @property
    def explained(self):
        """Whether the reader is shown the known miss: it misses, or does not by luck."""
        return self.known_failure is not None and (self.verdict == MISS or self.lucky)

    @property
    def lucky(self):
        """Whether it holds where rounding might have made it miss."""
        return self.verdict in (PASS, BETTER) and self.known_failure is not None and self.known_failure.rounding_decides


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All rows, targets first."""

    rows: tuple[Row, ...]
    claims: tuple[Row, ...]

    def gate(self):
        """The exit code, and why: every miss that is not listed fails, and every listed one that holds again, but for
        those that rounding decides.

        Returns:
            (0 or 1, list of messages)
        """
        messages = []
        for row in (*self.rows, *self.claims):
            if row.verdict == MISS and row.known_failure is None:
                messages.append(
                    f"{row.target.id}: outside its tolerance and not in the list of known misses. {row.detail}"
                )
            if row.verdict in (PASS, BETTER) and row.known_failure is not None and not row.lucky:
                messages.append(f"{row.target.id}: holds again; take it from the list of known misses")
        return (EXIT_OUTSIDE_TOLERANCE if messages else EXIT_WITHIN_TOLERANCE), messages


def compare(targets, results, known_failures=()):
    """Judges every target and claim.

    Args:
        targets: Targets.
        results: {spec name: Result}.
        known_failures: KnownFailure entries.

    Returns:
        A Comparison.
    """
    measured = _measured(targets, results.values())
    known = {miss.id: miss for miss in known_failures}
    rows = tuple(_target_row(target, *measured.get(target.id, (None, None)), known) for target in targets.entries)
    evidence = Evidence({id_: pair for id_, pair in measured.items() if pair[1].counts}, results)
    return Comparison(rows, tuple(_claim_row(claim, evidence, known) for claim in targets.claims))


def read_known_failures(path, targets):
    """Reads the list of known misses; UsageError names a wrong key or an unknown, repeated or never judged id."""
    path = pathlib.Path(path)
    try:
        items = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    if not isinstance(items, list):
        raise UsageError(f"{path}: a list of entries with the keys id, cause, tried, since is expected")
    known = [from_mapping(KnownFailure, item, path, f"[{index}]") for index, item in enumerate(items)]
    judged = {target.id: target.gated for target in targets.entries} | {claim.id: True for claim in targets.claims}
    for index, miss in enumerate(known):
        if miss.id not in judged:
            raise UsageError(f"{path}: {miss.id}: targets.yaml has no such id")
        if not judged[miss.id]:
            raise UsageError(f"{path}: {miss.id}: is not judged (targets.yaml gates nothing on it), so it cannot miss")
        if any(miss.id == other.id for other in known[:index]):
            raise UsageError(f"{path}: {miss.id}: stands there twice")
    return known


def _measured(targets, results):
    """{target id: (TargetValue, Result)} of everything measured, duplicates and derived values included."""
    known = {target.id for target in targets.entries}
    measured = {}
    for result in results:
        for id_, value in result.targets.items():
            if id_ not in known:
                raise UsageError(f"result of {result.spec}: targets: {id_!r} is no id of targets.yaml")
            if GAP_CLOSED.fullmatch(id_):
                raise UsageError(f"result of {result.spec}: targets: {id_!r} is always derived from other targets")
            other = measured[id_][1] if id_ in measured else None
            if other is not None and other.counts and result.counts:
                raise UsageError(f"results of {other.spec} and {result.spec}: both give a value for {id_!r}")
            if other is None or result.counts:
                measured[id_] = (value, result)
    for target in targets.entries:
        if target.duplicate_of in measured:
            measured.setdefault(target.id, measured[target.duplicate_of])
    for target in targets.entries:
        if match := GAP_CLOSED.fullmatch(target.id):
            names = (f"{match['task']}_{name}" for name in (f"maml_step{match['step']}", "maml_step0", "oracle"))
            parts = [measured.get(name) for name in names]
            if None not in parts:
                measured[target.id] = _gap_closed(*parts)
    return measured


def _gap_closed(*parts):
    """(maml_s - maml_0) / (oracle - maml_0) from our own arms: (TargetValue, Result).

    Each seed's own share takes the oracle's mean over seeds, for the arms are trained independently. The Result is one
    that does not count, if there is any among the parts. UsageError when the two MAML values have not the same seeds.
    """
    (after, before, oracle), results = zip(*parts, strict=True)
    if results[0].seeds != results[1].seeds:
        raise UsageError(
            f"results of {results[0].spec} and {results[1].spec}: seeds: {list(results[0].seeds)} and "
            f"{list(results[1].seeds)}; the share of a gap needs the same seeds before and after adaptation"
        )

    def share(end, start):
        return (end - start) / (oracle.mean - start) if oracle.mean != start else math.nan

    per_seed = tuple(map(share, after.per_seed, before.per_seed))
    value = TargetValue(share(after.mean, before.mean), math.nan, after.n_tasks, per_seed)
    return value, min(results, key=lambda result: result.counts)


def _target_row(target, ours, result, known):
    known_failure = known.get(target.id)
    if ours is None:
        return Row(target, None, None, NOT_RUN if target.reproduce else CITATION, known_failure=known_failure)
    if not result.counts:
        detail = f"{result.iterations_done} of {result.iterations_asked} iterations"
        return Row(target, ours, result, REDUCED, detail, known_failure)
    if not target.gated:  # also a row that the authors only cite and that was run here all the same
        return Row(target, ours, result, DIAGNOSTIC)
    inside = sum(verdict_of(target, mean) != MISS for mean in ours.per_seed)
    detail = f"{inside} of {len(ours.per_seed)} seeds inside"
    return Row(target, ours, result, verdict_of(target, ours.mean), detail, known_failure)


def verdict_of(target, mean):
    """PASS, BETTER or MISS of a measured mean against a gated target (rules: head of targets.yaml)."""
    difference = mean - target.paper_mean
    # The bounds themselves are inside; a billionth absorbs the rounding of decimal numbers.
    if abs(difference) <= target.half_width + 1e-9:
        return PASS
    good_side = (difference > 0) == (target.direction == "higher") and math.isfinite(mean)
    if target.tolerance.rule == "two_sided_or_better" and target.direction != "exact" and good_side:
        return BETTER
    return MISS


def _claim_row(claim, evidence, known):
    holds, explanation = judge(claim.id, evidence)
    if holds is None:
        verdict = NOT_RUN if explanation.startswith("not run") else DIAGNOSTIC
    else:
        verdict = PASS if holds else MISS
    return Row(claim, None, None, verdict, explanation, known.get(claim.id))
