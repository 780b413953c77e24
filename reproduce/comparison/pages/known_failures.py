"""The known failures, grouped by the kind of their cause."""

import pathlib

from maml_tf.errors import UsageError
from reproduce.comparison.pages.markdown import value
from reproduce.comparison.pages.panels import name_of
from reproduce.comparison.pages.record import Record
from reproduce.comparison.targets import Target

# {group: (heading, what its failures have in common)}
GROUPS = {
    "divergence": (
        "Gradient descent that overshoots or diverges on some tasks",
        "The inner step is too large for a few of the test tasks. On the sinusoid a single divergent function makes a "
        "mean over 600 infinite, and whether one is among the 600 depends on the rounding of the whole training.",
    ),
    "averaged_weights": (
        "Averages of networks that share no structure",
        "Table 2's multi-task rows average the weights of 500 separately initialised networks.",
    ),
    "one_random_policy": (
        "The paper shows one random policy",
        "The return of an untrained policy depends on its initial weights. Each of the paper's random arms is one "
        "policy; in the direction tasks it has two distinct values among its 40 tasks.",
    ),
    "another_program": (
        "The authors' code does something else than the paper says",
        "Table 5's context vector. Both readings are in the table; the one that the code had is "
        "`half_cheetah_direction_context_vector_z_alone` (PROTOCOL 2.7).",
    ),
    "unpublished_settings": (
        "Settings that are not published",
        "The paper and the authors' code leave out settings of these arms, so a choice had to be made (PROTOCOL 7).",
    ),
    "slower_learning": (
        "Learning that is slower than the paper's",
        "Our training improves until its last iteration, but from a lower level than the paper's.",
    ),
}


def known_failures(record: Record, page: pathlib.Path) -> str:
    """All known failures: for each the numbers, the cause and what was tried."""
    unknown = {failure.group for failure in record.known_failures} - set(GROUPS)
    if unknown:
        raise UsageError(
            f"known_failures.yaml: group: {sorted(unknown)[0]!r} is not allowed; expected one of {', '.join(GROUPS)}"
        )
    parts = []
    for group, (heading, introduction) in GROUPS.items():
        failures = [failure for failure in record.known_failures if failure.group == group]
        if failures:
            parts += [f"## {heading}", introduction, *(_entry(record, failure) for failure in failures)]
    return "\n\n".join(parts)


def failure_counts(record: Record, page: pathlib.Path) -> str:
    """One sentence: how many there are."""
    explained = [record.rows[failure.id] for failure in record.known_failures]
    numbers = sum(isinstance(row.target, Target) and row.xfail for row in explained)
    claims = sum(not isinstance(row.target, Target) and row.xfail for row in explained)
    flaky = sum(row.flaky for row in explained)
    return (
        f"{numbers} numbers and {claims} statements of the paper fail as listed here. {flaky} entries are flaky: "
        "another processor's rounding can change their verdict."
    )


def _entry(record, failure):
    row = record.rows[failure.id]
    if isinstance(row.target, Target):
        steps = row.target.grad_step
        after = f" after {steps} {'step' if steps == 1 else 'steps'}" if isinstance(steps, int) else ""
        what = f"{name_of(row.target)}{after}: paper {value(row.target.paper_mean, row.target.paper_ci95)}"
        ours = value(row.ours.mean, row.ours.ci95) if row.ours else "—"
        what += f", ours {ours} ({row.verdict})"
    else:
        what = f"Statement: {row.target.claim}. Measured: {row.detail} ({row.verdict})"
    flaky = " Flaky: rounding can change the verdict." if failure.flaky else ""
    lines = [f"### `{failure.id}`", f"{what}. Since {failure.since}.{flaky}", f"**Cause.** {failure.cause}"]
    if failure.tried:
        lines.append(f"**Tried.** {failure.tried}")
    return "\n\n".join(lines)
