"""A verdict for every target and claim: of the published results, and of your own where there are some."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

from maml_tf.experiments.results import Result, TargetValue
from reproduce.comparison.authors import AuthorsReturns
from reproduce.comparison.claims import Evidence, judge
from reproduce.comparison.known_failures import KnownFailure
from reproduce.comparison.measurements import Measurement, measurements
from reproduce.comparison.peers import Peer
from reproduce.comparison.targets import Claim, Target, Targets

PASS, BETTER, EARLY, MISS = "pass", "better", "pass (early)", "miss"
PARTIAL, INFORMATIONAL, NOT_RUN, CITATION = "partial", "informational", "not run", "citation"
HOLDS = (PASS, BETTER, EARLY)
JUDGED = (*HOLDS, MISS)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a set of results says about one target or claim.

    Attributes:
        verdict: PASS, BETTER, EARLY, MISS, PARTIAL, INFORMATIONAL, NOT_RUN or CITATION.
        detail: for the reader: seeds inside the tolerance, iterations done, or a claim's numbers.
        value: TargetValue, or None: not measured, or a claim.
        result: the Result that `value` is from (of a derived value: the part that counts least), or None.
    """

    verdict: str
    detail: str = ""
    value: TargetValue | None = None
    result: Result | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One target or claim with its verdicts.

    Attributes:
        target: the Target or Claim.
        published: Judgement of the published results.
        yours: Judgement of your own results, or None where there is none.
        known_failure: the KnownFailure listed under this id, or None.
    """

    target: Target | Claim
    published: Judgement
    yours: Judgement | None = None
    known_failure: KnownFailure | None = None

    @property
    def judgement(self) -> Judgement:
        """The one that counts: yours, unless the published one says more (a partial run against a full one)."""
        if self.yours is not None and _weight(self.yours) >= _weight(self.published):
            return self.yours
        return self.published

    @property
    def verdict(self) -> str:
        return self.judgement.verdict

    @property
    def detail(self) -> str:
        return self.judgement.detail

    @property
    def ours(self) -> TargetValue | None:
        return self.judgement.value

    @property
    def result(self) -> Result | None:
        return self.judgement.result

    @property
    def other_iterations(self) -> str:
        """What the row compares, where the paper's model and ours were trained for different numbers of iterations."""
        theirs = getattr(self.target, "paper_iterations", None)
        if theirs is None or self.result is None or self.result.iterations_done == theirs:
            return ""
        return f"{self.result.iterations_done} iterations, the paper's {theirs}"

    @property
    def xfail(self) -> bool:
        """Whether it fails as listed."""
        return self.known_failure is not None and self.verdict == MISS

    @property
    def xpass(self) -> bool:
        """Whether it holds although it is listed, and rounding does not explain that."""
        return self.known_failure is not None and self.verdict in HOLDS and not self.known_failure.flaky

    @property
    def flaky(self) -> bool:
        """Whether it is judged and another processor's rounding can change the verdict."""
        return self.known_failure is not None and self.verdict in JUDGED and self.known_failure.flaky

    @property
    def explained(self) -> bool:
        """Whether to print the cause: it fails as listed, or passes only by rounding."""
        return self.xfail or self.flaky


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Everything that was compared. `results` and `own_results` are {spec name: Result}; `authors`: their returns."""

    targets: Targets
    rows: tuple[Row, ...]
    claims: tuple[Row, ...]
    results: Mapping[str, Result]
    own_results: Mapping[str, Result]
    known_failures: tuple[KnownFailure, ...]
    peers: tuple[Peer, ...]
    authors: AuthorsReturns = dataclasses.field(default_factory=AuthorsReturns)

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """Rows and claims."""
        return (*self.rows, *self.claims)

    def restricted_to(self, ids: Collection[str]) -> "Comparison":
        """The same with the rows of these targets and claims only."""
        rows, claims = (tuple(row for row in group if row.target.id in ids) for group in (self.rows, self.claims))
        return dataclasses.replace(self, rows=rows, claims=claims)


def compare(
    targets: Targets,
    results: Mapping[str, Result],
    own_results: Mapping[str, Result] | None = None,
    known_failures: Sequence[KnownFailure] = (),
    peers: Sequence[Peer] = (),
    authors: AuthorsReturns | None = None,
) -> Comparison:
    """Judges every target and claim.

    A derived value and a claim need several results. Yours are completed by published ones there, so that a run of one
    arm is judged with the published other arms.

    Args:
        targets: the paper's numbers and claims.
        results, own_results: {spec name: Result}, the published ones and yours.
        known_failures, peers, authors: what belongs to the targets.
    """
    own_results = own_results or {}
    published = measurements(targets, results)
    own = measurements(targets, own_results, complement=published)
    failures = {failure.id: failure for failure in known_failures}
    rows = tuple(
        Row(
            target,
            _judge_target(target, published.get(target.id)),
            _judge_target(target, own[target.id]) if target.id in own else None,
            failures.get(target.id),
        )
        for target in targets.entries
    )
    claims = tuple(
        Row(claim, *_judge_claim(claim, published, results, own, own_results), failures.get(claim.id))
        for claim in targets.claims
    )
    known, others = tuple(known_failures), tuple(peers)
    return Comparison(targets, rows, claims, results, own_results, known, others, authors or AuthorsReturns())


def verdict_of(target: Target, mean: float) -> str:
    """PASS, BETTER or MISS of a measured mean against a gated target (rules: head of targets.yaml)."""
    difference = mean - target.paper_mean
    # The bounds themselves are inside; a billionth absorbs the rounding of decimal numbers.
    if abs(difference) <= target.half_width + 1e-9:
        return PASS
    good_side = (difference > 0) == (target.direction == "higher") and math.isfinite(mean)
    if target.tolerance.rule == "two_sided_or_better" and target.direction != "exact" and good_side:
        return BETTER
    return MISS


def at_half_way(result: Result, target: Target) -> bool:
    """Whether a result is the test at the half-way mark (PROTOCOL 1.6).

    It is for accuracies whose model is chosen by validation, tested after exactly half of the iterations.
    """
    chosen = all("best_validation_accuracy" in result.settings.get(f"seed_{seed}", {}) for seed in result.seeds)
    halved = 2 * result.iterations_done == result.iterations_asked > 0
    return result.profile == "half" and halved and chosen and target.metric == "accuracy_percent"


def _judge_target(target: Target, measurement: Measurement | None) -> Judgement:
    if measurement is None:
        return Judgement(NOT_RUN if target.reproduce else CITATION)
    value, result = measurement.value, measurement.result
    if not result.counts:
        done = f"{result.iterations_done} of {result.iterations_asked}"
        # Outside of its tolerance the half-way test stays partial: the training may still get there.
        if target.gated and at_half_way(result, target) and verdict_of(target, value.mean) != MISS:
            return Judgement(EARLY, done, value, result)
        return Judgement(PARTIAL, f"{done} iterations", value, result)
    if not target.gated:  # also a number that the authors cite and that was run here
        return Judgement(INFORMATIONAL, "", value, result)
    inside = sum(verdict_of(target, mean) != MISS for mean in value.per_seed)
    detail = f"{inside} of {len(value.per_seed)} seeds inside"
    return Judgement(verdict_of(target, value.mean), detail, value, result)


def _judge_claim(claim, published, results, own, own_results):
    """(Judgement of the published results, Judgement of yours or None: none of yours says anything about it)."""
    evidence = Evidence(_counting(published), results)
    own_counting = {name: result for name, result in own_results.items() if result.counts}
    completed = Evidence(_counting(published) | _counting(own), {**results, **own_counting})
    judgements = [_claim_judgement(claim, each) for each in (evidence, completed)]
    of_yours = any(result is own_results.get(result.spec) for result in completed.consulted)
    return judgements[0], judgements[1] if of_yours else None


def _counting(measured):
    return {id_: measurement for id_, measurement in measured.items() if measurement.result.counts}


def _claim_judgement(claim, evidence):
    holds, explanation = judge(claim.id, evidence)
    if holds is None:
        return Judgement(NOT_RUN if explanation.startswith("not run") else INFORMATIONAL, explanation)
    return Judgement(PASS if holds else MISS, explanation)


def _weight(judgement):
    """How much a judgement says."""
    if judgement.verdict in JUDGED:
        return 3
    return {INFORMATIONAL: 2, PARTIAL: 1}.get(judgement.verdict, 0)
