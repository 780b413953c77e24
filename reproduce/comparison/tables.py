"""The comparison as text, Markdown and JSON."""

import collections
import math

from reproduce.comparison.verdicts import MISS, REDUCED

BOLD_MISS = "**MISS**"
LUCKY = "rounding decides"
HEADERS = ("where", "what", "paper", "ours", "seeds", "profile", "verdict")


def text_table(comparison, skip=()):
    """A table for the terminal, grouped by the paper's tables and figures, without the verdicts in `skip`."""
    rows = [_cells(row) for row in comparison.rows if row.verdict not in skip]
    widths = [max(map(len, column)) for column in zip(HEADERS, *rows, strict=True)]

    def line(cells):
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    lines = [line(HEADERS), line(["-" * width for width in widths])]
    previous = None
    for cells in rows:
        shown = ("" if cells[0] == previous else cells[0], *cells[1:])
        previous = cells[0]
        lines.append(line(shown))
    lines.append("")
    for row in comparison.claims:
        if row.verdict not in skip:
            lines.append(f"claim {row.target.id}: {_verdict(row)}. {row.target.claim} ({row.detail})")
    return "\n".join(lines)


def full_table(comparison):
    """One of the paper's tables in full, for the terminal: a line for each number, cited ones and unrun ones too."""
    header = ("what", "paper", "ours", "over seeds", "last model", "profile", "iterations", "time", "verdict")
    lines = [header]
    for row in comparison.rows:
        _, what, paper, ours, _, profile, verdict = _cells(row)
        spread, last, iterations, time = "—", "—", "—", "—"
        if row.result:
            spread = " ".join(f"{value:.4g}" for value in row.ours.per_seed)
            last = _last_model(row)
            iterations = f"{row.result.iterations_done}"
            time = f"{row.result.wall_seconds / 60:.0f} min"
        lines.append((what, paper, ours, spread, last, profile, iterations, time, verdict))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    claims = [f"claim {row.target.id}: {_verdict(row)}. {row.target.claim} ({row.detail})" for row in comparison.claims]
    return "\n".join([*shown, "", *claims])


def _last_model(row):
    """What the last model of a training reaches where the one chosen in validation is the row's (PROTOCOL 1.4, 5)."""
    curve = row.result.curves.get(f"{row.target.setting.get('shots')}_shot_last_model")
    if curve is None or row.target.grad_step not in curve.grad_steps:
        return "—"
    point = curve.grad_steps.index(row.target.grad_step)
    return shown_value(curve.mean[point], curve.ci95[point])


def markdown_table(comparison, skip=()):
    """The same as Markdown."""
    lines = ["| " + " | ".join(HEADERS) + " |", "|---" * len(HEADERS) + "|"]
    lines += [markdown_row(_cells(row, BOLD_MISS)) for row in comparison.rows if row.verdict not in skip]
    claims, misses = claims_and_known_failures(comparison, skip)
    if misses:
        misses = ["", "Known misses:", "", *misses]
    return "\n".join([*lines, *claims, *misses]) + "\n"


def claims_and_known_failures(comparison, skip=()):
    """Two lists of Markdown lines: the table of the claims, and a point for each miss that is explained."""
    claims = [row for row in comparison.claims if row.verdict not in skip]
    if claims:
        header = ["", "| claim of the paper | measured | verdict |", "|---|---|---|"]
        claims = header + [
            markdown_row((f"{row.target.claim} ({row.target.source})", row.detail, _verdict(row, BOLD_MISS)))
            for row in claims
        ]
    misses = [
        f"* **{row.target.id}**{' (holds here)' if row.lucky else ''}: {row.known_failure.cause} "
        f"Tried: {row.known_failure.tried}"
        for row in (*comparison.rows, *comparison.claims)
        if row.explained
    ]
    return claims, misses


def summary(comparison):
    """How many rows have which verdict, in one line."""
    counts = collections.Counter(row.verdict for row in (*comparison.rows, *comparison.claims))
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


def as_json(comparison):
    """The comparison as plain data, without anything that changes from one run to the next."""
    return {
        "targets": [
            {
                "id": row.target.id,
                "paper_mean": row.target.paper_mean,
                "paper_ci95": row.target.paper_ci95,
                "ours_mean": _number(row.ours and row.ours.mean),
                "ours_ci95": _number(row.ours and row.ours.ci95),
                "per_seed": [_number(value) for value in row.ours.per_seed] if row.ours else [],
                "profile": row.result.profile if row.result else None,
                "verdict": row.verdict,
                "detail": row.detail,
                "known_failure": row.known_failure is not None,
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


def markdown_row(cells):
    """A row of a Markdown table; a bar inside a cell would begin another one."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(row, miss="MISS"):
    target = row.target
    step = ""
    if isinstance(target.grad_step, int):
        step = f", {target.grad_step} {'step' if target.grad_step == 1 else 'steps'}"
    setting = target.setting
    size = f"{setting['ways']}-way " if "ways" in setting else ""
    size += f"{setting['shots']}-shot " if "shots" in setting else ""
    what = f"{target.experiment} {size}{target.method}{step}"
    ours = shown_value(row.ours.mean, row.ours.ci95) if row.ours else "—"
    seeds = str(len(row.ours.per_seed)) if row.ours else "—"
    profile = row.result.profile if row.result else "—"
    return (
        target.where,
        what,
        shown_value(target.paper_mean, target.paper_ci95),
        ours,
        seeds,
        profile,
        _verdict(row, miss),
    )


def _verdict(row, miss="MISS"):
    if row.verdict == REDUCED:
        return f"{REDUCED}: {row.detail}"
    notes = [LUCKY if row.lucky else "known"] if row.explained else []
    if row.detail and row.ours:  # a claim's detail has a place of its own
        notes.append(row.detail)
    shown = miss if row.verdict == MISS else row.verdict
    return f"{shown} ({'; '.join(notes)})" if notes else shown


def shown_value(mean, ci95, digits=4):
    """A mean with its interval, as far as there are such; to so many digits."""
    if mean is None:
        return "—"
    if not math.isfinite(mean):
        return "diverged"
    shown = f"{mean:.{digits}g}"
    return f"{shown} ± {ci95:.3g}" if ci95 is not None and math.isfinite(ci95) else shown


def _number(value):
    return value if value is not None and math.isfinite(value) else None
