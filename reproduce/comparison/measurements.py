"""What was measured for each target: values by id, taken from the results or derived from them."""

import dataclasses
import math
import re
from collections.abc import Mapping

from maml_tf.errors import UsageError
from maml_tf.experiments.results import Result, TargetValue
from reproduce.comparison.targets import Target, Targets

GAP_CLOSED = re.compile(r"(?P<task>.+)_gap_closed_step(?P<step>\d+)")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A measured value and the result file it is from (of a derived value: the one of its parts that counts least)."""

    value: TargetValue
    result: Result


def sources(target: Target) -> list[str]:
    """The ids that a target's value is made of: its own, that of its duplicate, or the parts of a closed gap."""
    if match := GAP_CLOSED.fullmatch(target.id):
        return [f"{match['task']}_{name}" for name in (f"maml_step{match['step']}", "maml_step0", "oracle")]
    return [target.duplicate_of or target.id]


def measurements(
    targets: Targets, results: Mapping[str, Result], complement: Mapping[str, Measurement] | None = None
) -> dict[str, Measurement]:
    """The measured values by target id, those of duplicates and derived targets included.

    Args:
        targets: the paper's numbers.
        results: {spec name: Result}.
        complement: further values. A derived value may take some of its parts from there, but not all.

    Raises:
        UsageError: a result answers an id that does not exist or is always derived, or two results answer one id.
    """
    measured = _direct(targets, results)
    complement = complement or {}
    for target in targets.entries:
        if GAP_CLOSED.fullmatch(target.id):
            parts = [measured.get(name) or complement.get(name) for name in sources(target)]
            if None not in parts and any(name in measured for name in sources(target)):
                measured[target.id] = _gap_closed(*parts)
    return measured


def _direct(targets, results):
    known = {target.id for target in targets.entries}
    measured: dict[str, Measurement] = {}
    for result in results.values():
        for id_, value in result.targets.items():
            if id_ not in known:
                raise UsageError(f"result of {result.spec}: targets: {id_!r} is no id of targets.yaml")
            if GAP_CLOSED.fullmatch(id_):
                raise UsageError(f"result of {result.spec}: targets: {id_!r} is always derived from other targets")
            other = measured[id_].result if id_ in measured else None
            if other is not None and other.counts and result.counts:
                raise UsageError(f"results of {other.spec} and {result.spec}: both give a value for {id_!r}")
            if other is None or result.counts:
                measured[id_] = Measurement(value, result)
    for target in targets.entries:
        if target.duplicate_of in measured:
            measured.setdefault(target.id, measured[target.duplicate_of])
    return measured


def _gap_closed(after, before, oracle):
    """(maml_s - maml_0) / (oracle - maml_0), from our own arms.

    Each seed's share takes the oracle's mean over seeds, because the arms are trained independently.
    """
    if after.result.seeds != before.result.seeds:
        raise UsageError(
            f"results of {after.result.spec} and {before.result.spec}: seeds: {list(after.result.seeds)} and "
            f"{list(before.result.seeds)}; the share of a gap needs the same seeds before and after adaptation"
        )
    best = oracle.value.mean

    def share(end, start):
        return (end - start) / (best - start) if best != start else math.nan

    per_seed = tuple(map(share, after.value.per_seed, before.value.per_seed))
    value = TargetValue(share(after.value.mean, before.value.mean), math.nan, after.value.n_tasks, per_seed)
    return Measurement(value, min((after.result, before.result, oracle.result), key=lambda result: result.counts))
