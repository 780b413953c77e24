"""The comparison for the README: one line for each cell or arm, with the values after all its gradient steps."""

import collections
import itertools

from reproduce.comparison.tables import BOLD_MISS, LUCKY, claims_and_known_failures, markdown_row, shown_value
from reproduce.comparison.verdicts import MISS, REDUCED

HEADERS = ("where", "what", "gradient steps", "paper", "ours", "seeds", "verdict")


def readme_table(comparison, skip=()):
    """The rows without the verdicts in `skip` as Markdown: values that miss are bold. Known misses fold away."""
    rows = [row for row in comparison.rows if row.verdict not in skip]
    lines = ["| " + " | ".join(HEADERS) + " |", "|---" * len(HEADERS) + "|"]
    lines += [markdown_row(_cells(list(arm))) for _, arm in itertools.groupby(rows, _arm)]
    claims, misses = claims_and_known_failures(comparison, skip)
    if misses:
        misses = ["", "<details><summary>Known misses: their causes, and what was tried</summary>", "", *misses]
        misses += ["", "</details>"]
    return "\n".join([*lines, *claims, *misses]) + "\n"


def _arm(row):
    """What rows of one line have in common. Only neighbours in targets.yaml are joined."""
    target = row.target
    return target.experiment, target.method, str(target.setting), target.metric, row.verdict == REDUCED


def _cells(rows):
    target, ours = rows[0].target, rows[0].ours
    ways, shots = (f"{target.setting[key]}-{key[:-1]} " if key in target.setting else "" for key in ("ways", "shots"))
    method = target.method.replace("_", " ").replace("maml", "MAML")
    what = f"{target.experiment.removeprefix('rl_').replace('_', ' ')} {ways}{shots}{method}"
    if target.metric.startswith("gap_closed"):
        what += ", share of the gap to the oracle that it closes"
    steps = ", ".join(str(row.target.grad_step) for row in rows if isinstance(row.target.grad_step, int))
    if len(rows) == 1:
        paper = shown_value(target.paper_mean, target.paper_ci95)
        values = [shown_value(ours.mean, ours.ci95) if ours else "—"]
    else:
        paper = " / ".join(_short(row.target.paper_mean) for row in rows)
        values = [_short(row.ours and row.ours.mean) for row in rows]
    values = [f"**{value}**" if row.verdict == MISS else value for row, value in zip(rows, values, strict=True)]
    seeds = str(len(ours.per_seed)) if ours else "—"
    return target.where, what, steps, paper, " / ".join(values), seeds, _verdicts(rows)


def _verdicts(rows):
    """What became of the rows of a line; with how many of them where they differ."""
    if rows[0].verdict == REDUCED:
        return f"{REDUCED}: {rows[0].detail}"
    shown = [_verdict(row) for row in rows]
    counts = collections.Counter(shown)
    return shown[0] if len(counts) == 1 else ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _verdict(row):
    verdict = BOLD_MISS if row.verdict == MISS else row.verdict
    if not row.explained:
        return verdict
    return f"{verdict} ({LUCKY if row.lucky else 'known'})"


def _short(mean):
    """A mean to three digits, so that a line holds several."""
    return shown_value(mean, None, digits=3)
