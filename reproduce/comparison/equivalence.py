"""How close a measured number is to the paper's: the interval of their difference, and a computed tolerance.

The gate asks whether a mean is inside a tolerance that was set by hand. This asks more. The interval of the difference
is over the test tasks: paired where both sides have the same goals, forward and backward apart for directions, else the
two intervals in quadrature. With several seeds it includes their scatter, which stands for that of the paper's one run.
"""

import dataclasses
import math

import numpy as np

from maml_tf.evaluation.intervals import half_width_95
from reproduce.comparison.authors import AuthorsReturns
from reproduce.comparison.measurements import Measurement, sources
from reproduce.comparison.targets import Target
from reproduce.comparison.verdicts import JUDGED, MISS, PASS, Comparison, Row
from reproduce.comparison.wrong_programs import STILL

EQUAL, NOT_WORSE, UNDECIDED = "equal", "not worse", "undecided"
WORST_FIRST = (MISS, UNDECIDED, PASS, NOT_WORSE, EQUAL)
# The computed tolerance: this many intervals of the authors' noise, or this share of the span to their oracle.
INTERVALS, SPAN_SHARE = 1.5, 0.1


@dataclasses.dataclass(frozen=True)
class Difference:
    """Ours minus the paper's, with its 95 % half width (NaN: not known).

    Attributes:
        of: "forward" or "backward", or "": of all tasks.
        mean, half_width: of the difference.
    """

    of: str
    mean: float
    half_width: float


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """A row's differences, what they are judged by, and the verdict.

    Attributes:
        differences: one, or one for each direction.
        how: how the intervals were computed.
        tolerance: the smaller one of the tolerance set by hand and the computed one.
        verdict: EQUAL: the interval of the difference is inside the tolerance. NOT_WORSE: its bad end is, and the
            target allows better values. PASS: the mean difference is inside, or better. UNDECIDED: only the interval
            reaches inside. MISS: it does not. Of two directions the worse one.
    """

    differences: tuple[Difference, ...]
    how: str
    tolerance: float
    verdict: str


def equivalence(row: Row, comparison: Comparison) -> Equivalence | None:
    """The equivalence of a row with a verdict from a whole training, or None."""
    if not getattr(row.target, "gated", False) or row.verdict not in JUDGED or not row.result.counts:
        return None
    differences, how = _differences(row.target, Measurement(row.ours, row.result), comparison.authors)
    tolerance = tolerance_of(row.target, comparison)
    verdicts = [verdict_of_difference(row.target, each, tolerance) for each in differences]
    return Equivalence(differences, how, tolerance, min(verdicts, key=WORST_FIRST.index))


def verdict_of_difference(target: Target, difference: Difference, tolerance: float) -> str:
    """The verdict of one difference; see Equivalence. A width that is not known counts as 0, and never as EQUAL."""
    if not math.isfinite(difference.mean):
        return MISS
    known = math.isfinite(difference.half_width)
    width = difference.half_width if known else 0.0
    tolerance = tolerance + 1e-9  # absorbs the rounding of decimal numbers
    if known and abs(difference.mean) + width <= tolerance:
        return EQUAL
    distance = abs(difference.mean)
    if target.tolerance.rule == "two_sided_or_better" and target.direction != "exact":
        distance = -difference.mean if target.direction == "higher" else difference.mean
        if known and distance + width <= tolerance:
            return NOT_WORSE
    if distance <= tolerance:
        return PASS
    return UNDECIDED if distance - width <= tolerance else MISS


def tolerance_of(target: Target, comparison: Comparison) -> float:
    """The smaller one of a target's own tolerance and, where the authors' returns are known, the computed one.

    Computed is the larger one of INTERVALS half widths of the authors' mean, without what the goals explain, and of
    SPAN_SHARE of the span between standing still and the authors' oracle.
    """
    authors = comparison.authors
    theirs, oracle = authors.of(target), authors.returns.get(f"{target.experiment}_oracle")
    if theirs is None or oracle is None:
        return target.half_width
    still = STILL[target.experiment](authors.goals[target.experiment])
    noise = INTERVALS * max(half_width_95(part) for part in _unexplained(target, theirs, authors))
    return float(min(target.half_width, max(noise, SPAN_SHARE * abs(oracle[0].mean() - still))))


def _unexplained(target: Target, returns: np.ndarray, authors: AuthorsReturns) -> list[np.ndarray]:
    """The authors' returns without what the goals explain: by direction, or a parabola in the goal's size."""
    directions = authors.directions(target.experiment)
    if directions is not None:
        return [returns[directions == direction] for direction in (1.0, -1.0)]
    goals = authors.goals[target.experiment]
    sizes = np.abs(goals) if goals.ndim == 1 else np.linalg.norm(goals, axis=1)
    return [returns - np.polyval(np.polyfit(sizes, returns, 2), sizes)]


def _differences(
    target: Target, measurement: Measurement, authors: AuthorsReturns
) -> tuple[tuple[Difference, ...], str]:
    theirs, ours = authors.of(target), _scores_of_tasks(target, measurement)
    value = measurement.value
    if theirs is not None and ours is not None and ours.shape[1] == len(theirs):
        directions = authors.directions(target.experiment)
        if directions is None:
            gaps = ours - theirs  # [seeds, tasks]
            width = math.hypot(float(half_width_95(gaps.mean(axis=0))), _of_seeds(ours.mean(axis=1)))
            return (Difference("", float(gaps.mean()), width),), "paired on the same goals"
        found = []
        for of, direction in (("forward", 1.0), ("backward", -1.0)):
            own, other = ours[:, directions == direction], theirs[directions == direction]
            widths = (half_width_95(own.mean(axis=0)), half_width_95(other), _of_seeds(own.mean(axis=1)))
            found.append(Difference(of, float(own.mean() - other.mean()), math.hypot(*map(float, widths))))
        return tuple(found), "forward and backward apart"
    gap = value.mean - target.paper_mean
    if target.metric.startswith("gap_closed"):
        return (Difference("", gap, math.nan),), "no interval"
    if target.direction == "exact" or target.where == "derived":
        widths, how = (value.ci95,), "our interval; the number is exact"
    elif target.paper_ci95 is not None:
        widths, how = (value.ci95, target.paper_ci95), "intervals in quadrature"
    else:
        widths, how = (value.ci95, value.ci95), "our interval twice in quadrature; the paper gives none"
    return (Difference("", gap, math.hypot(*widths, _of_seeds(np.asarray(value.per_seed)))),), how


def _scores_of_tasks(target: Target, measurement: Measurement) -> np.ndarray | None:
    """Our scores [seeds, tasks] behind a target: the point of a kept curve whose mean is the measured one."""
    if len(sources(target)) > 1:
        return None
    for name, scores in (measurement.result.task_scores or {}).items():
        steps = measurement.result.curves[name].grad_steps
        step = target.grad_step or 0
        if step in steps and measurement.result.curves[name].mean[steps.index(step)] == measurement.value.mean:
            return np.asarray(scores)[:, :, steps.index(step)]
    return None


def _of_seeds(means: np.ndarray) -> float:
    """The half width that the scatter of seeds adds to the difference of our mean and one run of the paper."""
    if len(means) < 2:
        return 0.0
    return float(1.96 * np.std(means, ddof=1) * math.sqrt(1 + 1 / len(means)))
