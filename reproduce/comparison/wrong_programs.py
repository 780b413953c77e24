"""What a wrong program would get: a pass that such a program would get too proves nothing.

A policy that stands still, one that was never trained, a learner whose inner step does nothing, a guess, a prediction
of zero. Each is judged by the tolerance of the target that it would be taken for.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from reproduce.comparison.authors import AuthorsReturns
from reproduce.comparison.targets import Target
from reproduce.comparison.verdicts import HOLDS, MISS, Comparison, Row, verdict_of

# The errors of predicting zero, and of the best prediction that does not see the task (PROTOCOL 2.1).
ZERO, BLIND = "sinusoid_check_zero_predictor", "sinusoid_check_best_task_blind_predictor"
# The return of a policy that stands still, from the goals. It is exact but for the ant's contacts (PROTOCOL 4).
STILL = {
    "rl_2d_navigation": lambda goals: -100 * np.linalg.norm(goals, axis=1).mean(),
    "rl_half_cheetah_goal_velocity": lambda goals: -200 * np.abs(goals).mean(),
    "rl_half_cheetah_forward_backward": lambda goals: 0.0,
    "rl_ant_goal_velocity": lambda goals: 200 * (1.05 - np.abs(goals).mean()),
    "rl_ant_forward_backward": lambda goals: 200 * 0.05,
}


@dataclasses.dataclass(frozen=True)
class WrongProgram:
    """A program that does not do what the paper's does.

    Attributes:
        what: it does, in words.
        value: what it gets for a target.
        passes: whether the target's tolerance takes it for right.
    """

    what: str
    value: float
    passes: bool


def wrong_programs(target: Target, comparison: Comparison) -> list[WrongProgram]:
    """The wrong programs that are known for a gated target, those that pass first."""
    if not target.gated:
        return []
    paper = {entry.id: entry.paper_mean for entry in comparison.targets.entries if entry.paper_mean is not None}
    found = [
        WrongProgram(what, value, verdict_of(target, value) != MISS)
        for what, value in _candidates(target, paper, comparison.authors)
    ]
    return sorted(found, key=lambda wrong: (not wrong.passes, abs(wrong.value - target.paper_mean)))


def is_informative(row: Row, comparison: Comparison) -> bool:
    """Whether a pass of this row says that the program is right: no wrong program that is known passes it."""
    wrong = wrong_programs(row.target, comparison)
    return bool(wrong) and not any(each.passes for each in wrong)


def passes(comparison: Comparison) -> tuple[int, int]:
    """(the gated numbers that pass, those of them that are informative)"""
    held = [row for row in comparison.rows if row.target.gated and row.verdict in HOLDS]
    return len(held), sum(is_informative(row, comparison) for row in held)


def _candidates(target: Target, paper: Mapping[str, float], authors: AuthorsReturns) -> Iterator[tuple[str, float]]:
    if target.metric == "accuracy_percent":
        yield "guesses", 100 / target.setting["ways"]
    elif target.metric == "mse":
        for what, id_ in (("predicts zero", ZERO), ("does not see the task", BLIND)):
            if target.id != id_:
                yield what, paper[id_]
    elif target.metric.startswith("gap_closed"):
        yield "does not adapt", 0.0
    elif target.metric == "mean_undiscounted_return":
        if target.experiment in authors.goals:
            yield "stands still", float(STILL[target.experiment](authors.goals[target.experiment]))
        step = target.grad_step or 0
        before = paper.get(f"{target.experiment}_{target.method}_step0")
        if step and before is not None:
            yield "does not adapt", before
        untrained = paper.get(f"{target.experiment}_random_step{step}")
        if target.method != "random" and untrained is not None:
            yield "is not trained", untrained
