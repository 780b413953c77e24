"""The comparison as text, Markdown and JSON."""

import collections
import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from reproduce.comparison.equivalence import Equivalence, equivalence
from reproduce.comparison.gate import judged_by_published
from reproduce.comparison.verdicts import EARLY, HOLDS, MISS, PARTIAL, Comparison, Judgement, Row
from reproduce.comparison.wrong_programs import WrongProgram, passes, wrong_programs

KNOWN_FAILURE = "known failure"


def verdict_words(row: Row, judgement: Judgement | None = None) -> str:
    """A verdict as readers see it: `pass`, `known failure`, `pass (flaky)`, `pass (early: 30000 of 60000)`, ...

    Args:
        row: the row.
        judgement: that of the published results or of yours; the row's own by default.
    """
    judgement = judgement or row.judgement
    if judgement.verdict == EARLY:
        return f"pass (early: {judgement.detail})"
    if judgement.verdict == PARTIAL:
        return f"{PARTIAL}: {judgement.detail}"
    if row.known_failure is None:
        return "MISS" if judgement.verdict == MISS else judgement.verdict
    if judgement.verdict == MISS:
        return f"{KNOWN_FAILURE} (flaky)" if row.known_failure.flaky else KNOWN_FAILURE
    if judgement.verdict in HOLDS:
        return f"{judgement.verdict} (flaky)" if row.known_failure.flaky else f"{judgement.verdict} (unexpected)"
    return judgement.verdict


def text_table(comparison: Comparison, skip: Iterable[str] = ()) -> str:
    """A table for the terminal, grouped by the paper's tables and figures, without the verdicts in `skip`."""
    rows = [_cells(row, comparison) for row in comparison.rows if row.verdict not in skip]
    header, rule, *lines = _aligned([_headers(comparison), *rows])
    previous = None
    for index, (where, *_) in enumerate(rows):
        if where == previous:
            lines[index] = " " * len(where) + lines[index][len(where) :]
        previous = where
    claims = [_claim_line(row) for row in comparison.claims if row.verdict not in skip]
    return "\n".join([header, rule, *lines, "", *claims])


def full_table(comparison: Comparison) -> str:
    """One of the paper's tables for the terminal: a line for each number, with seeds, last model and time."""
    yours = ("yours",) if comparison.own_results else ()
    lines = [("what", "paper", "published", *yours, "seeds", "last model", "profile", "iterations", "time", "verdict")]
    for row in comparison.rows:
        spread, last, iterations, time, profile = "—", "—", "—", "—", "—"
        if row.result:
            spread = " ".join(f"{value:.4g}" for value in row.ours.per_seed)
            last = _last_model(row)
            iterations = str(row.result.iterations_done)
            time = f"{row.result.wall_seconds / 60:.0f} min"
            profile = row.result.profile
        values = [_value(row.published), *([_value(row.yours)] if yours else [])]
        lines.append((_what(row), _paper(row), *values, spread, last, profile, iterations, time, _verdict(row)))
    return "\n".join([*_aligned(lines), "", *map(_claim_line, comparison.claims)])


def markdown_table(comparison: Comparison, skip: Iterable[str] = ()) -> str:
    """The rows, the claims and the causes of the known failures as Markdown."""
    headers = (*_headers(comparison), "difference", "a wrong program would get")
    lines = [_markdown_row(headers), "|---" * len(headers) + "|"]
    for row in comparison.rows:
        if row.verdict not in skip:
            wrong = wrong_programs(row.target, comparison)
            beside = shown_equivalence(equivalence(row, comparison)), "; ".join(map(shown_wrong_program, wrong)) or "—"
            lines.append(_markdown_row((*_cells(row, comparison), *beside)))
    claims = [row for row in comparison.claims if row.verdict not in skip]
    if claims:
        lines += ["", "| claim of the paper | measured | verdict |", "|---|---|---|"]
        lines += [
            _markdown_row((f"{row.target.claim} ({row.target.source})", row.detail, verdict_words(row)))
            for row in claims
        ]
    explained = [row for row in comparison.all_rows if row.explained]
    if explained:
        lines += ["", "Known failures:", "", *map(_failure_line, explained)]
    return "\n".join(lines) + "\n"


def summary(comparison: Comparison) -> str:
    """How many rows have which verdict, in one line."""
    counts = collections.Counter(KNOWN_FAILURE if row.xfail else row.verdict for row in comparison.all_rows)
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


def judged_share(comparison: Comparison) -> str:
    """How many gated targets and claims the published results judge, in one line."""
    judged, gated = judged_by_published(comparison), sum(row.target.gated for row in comparison.rows)
    return (
        f"The published results judge {judged.targets} of {gated} gated targets and {judged.claims} of "
        f"{len(comparison.claims)} claims."
    )


def informative_share(comparison: Comparison) -> str:
    """How many of the passes say that the program is right, and the verdicts of the differences, in one line."""
    held, informative = passes(comparison)
    found = [equivalence(row, comparison) for row in comparison.rows]
    counts = collections.Counter(each.verdict for each in found if each is not None)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return (
        f"{informative} of the {held} passes are informative: no wrong program that was tried gets them. By the "
        f"interval of the difference and the computed tolerances: {verdicts or 'none judged'}."
    )


def shown_equivalence(found: Equivalence | None) -> str:
    """`pass: -9.5 ± 13.5 within ± 12.9 (paired on the same goals)`, or a dash."""
    if found is None:
        return "—"
    parts = []
    for each in found.differences:
        width = f" ± {each.half_width:.3g}" if math.isfinite(each.half_width) else ""
        mean = f"{each.mean:+.3g}" if math.isfinite(each.mean) else "diverged"
        parts.append(f"{each.of} {mean}{width}".strip())
    return f"{found.verdict}: {', '.join(parts)} within ± {found.tolerance:.3g} ({found.how})"


def shown_wrong_program(wrong: WrongProgram) -> str:
    """`does not adapt: -1.83, passes too`"""
    return f"{wrong.what}: {wrong.value:.4g}, {'passes too' if wrong.passes else 'misses'}"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data, without anything that changes from one run to the next."""
    return {
        "targets": [
            {
                "id": row.target.id,
                "paper_mean": row.target.paper_mean,
                "paper_ci95": row.target.paper_ci95,
                "verdict": row.verdict,
                "known_failure": row.known_failure is not None,
                "published": _judgement_json(row.published),
                "yours": _judgement_json(row.yours),
                "equivalence": _equivalence_json(equivalence(row, comparison)),
                "wrong_programs": [dataclasses.asdict(wrong) for wrong in wrong_programs(row.target, comparison)],
            }
            for row in comparison.rows
        ],
        "claims": [
            {
                "id": row.target.id,
                "verdict": row.verdict,
                "detail": row.detail,
                "known_failure": row.known_failure is not None,
            }
            for row in comparison.claims
        ],
    }


def shown_value(mean: float | None, ci95: float | None = None, digits: int = 4) -> str:
    """A mean to that many significant digits, with its interval where there is one."""
    if mean is None:
        return "—"
    if not math.isfinite(mean):
        return "diverged"
    shown = f"{mean:.{digits}g}"
    return f"{shown} ± {ci95:.3g}" if ci95 is not None and math.isfinite(ci95) else shown


def _headers(comparison):
    yours = ("yours",) if comparison.own_results else ()
    return ("where", "what", "paper", "published", *yours, "seeds", "profile", "verdict")


def _cells(row, comparison):
    yours = (_value(row.yours),) if comparison.own_results else ()
    seeds = str(len(row.ours.per_seed)) if row.ours else "—"
    profile = row.result.profile if row.result else "—"
    return (row.target.where, _what(row), _paper(row), _value(row.published), *yours, seeds, profile, _verdict(row))


def _what(row):
    target, setting = row.target, row.target.setting
    step = ""
    if isinstance(target.grad_step, int):
        step = f", {target.grad_step} {'step' if target.grad_step == 1 else 'steps'}"
    size = "".join(f"{setting[key]}-{key[:-1]} " for key in ("ways", "shots") if key in setting)
    closed = ", share of the gap closed" if target.metric.startswith("gap_closed") else ""
    return f"{target.experiment} {size}{target.method}{step}{closed}"


def _paper(row):
    return shown_value(row.target.paper_mean, row.target.paper_ci95)


def _value(judgement):
    return shown_value(judgement.value.mean, judgement.value.ci95) if judgement and judgement.value else "—"


def _verdict(row):
    """The verdict with the seeds inside, and with that of the published results where yours is another one."""
    words = verdict_words(row)
    notes = [row.detail] if row.ours and row.detail and row.detail not in words else []
    notes += [row.other_iterations] if row.other_iterations else []
    if row.yours is not None and row.yours.verdict != row.published.verdict:
        other = row.published if row.judgement is row.yours else row.yours
        notes.append(f"{'published' if other is row.published else 'yours'}: {verdict_words(row, other)}")
    return f"{words} ({'; '.join(notes)})" if notes else words


def _claim_line(row):
    return f"claim {row.target.id}: {verdict_words(row)}. {row.target.claim} ({row.detail})"


def _failure_line(row):
    holds = " (passes here)" if row.verdict in HOLDS else ""
    return f"* **{row.target.id}**{holds}: {row.known_failure.cause} Tried: {row.known_failure.tried}"


def _last_model(row):
    """The score of a training's last model, where the row's is the one chosen in validation (PROTOCOL 1.4, 5)."""
    curve = row.result.curves.get(f"{row.target.setting.get('shots')}_shot_last_model")
    if curve is None or row.target.grad_step not in curve.grad_steps:
        return "—"
    point = curve.grad_steps.index(row.target.grad_step)
    return shown_value(curve.mean[point], curve.ci95[point])


def _aligned(lines):
    """Lines of cells as text, with a rule under the first."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _markdown_row(cells):
    """A row of a Markdown table. A bar inside a cell is escaped, because it would begin another cell."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _judgement_json(judgement):
    if judgement is None:
        return None
    value = judgement.value
    return {
        "mean": _number(value and value.mean),
        "ci95": _number(value and value.ci95),
        "per_seed": [_number(each) for each in value.per_seed] if value else [],
        "profile": judgement.result.profile if judgement.result else None,
        "verdict": judgement.verdict,
        "detail": judgement.detail,
    }


def _equivalence_json(found):
    if found is None:
        return None
    differences = [
        {"of": each.of, "mean": _number(each.mean), "half_width": _number(each.half_width)}
        for each in found.differences
    ]
    return {"verdict": found.verdict, "tolerance": found.tolerance, "how": found.how, "differences": differences}


def _number(value):
    return value if value is not None and math.isfinite(value) else None
