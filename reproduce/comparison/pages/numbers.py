"""A row for every number of a panel: the paper's, the best peer's, ours with each seed, the tolerance, the verdict."""

import pathlib

from maml_tf.evaluation.intervals import wilson_interval_95
from maml_tf.experiments.results import TargetValue
from reproduce.comparison.equivalence import equivalence
from reproduce.comparison.pages.markdown import link_between, measured, number, of_each_seed, table, value
from reproduce.comparison.pages.panels import name_of, rows_of
from reproduce.comparison.pages.record import Record
from reproduce.comparison.peers import best_first
from reproduce.comparison.tables import shown_equivalence, shown_wrong_program
from reproduce.comparison.targets import Target
from reproduce.comparison.verdicts import MISS, NOT_RUN, Row
from reproduce.comparison.wrong_programs import wrong_programs

HEADERS = ["what", "steps", "paper", "best peer", "ours", "Wilson", "each seed", "allowed", "verdict"]
HEADERS += ["difference", "a wrong program would get"]


def numbers(record: Record, page: pathlib.Path, panel: str) -> str:
    """The table of a panel. Columns that are empty in every row are left out."""
    rows = [_cells(record, page, row) for row in rows_of(record, panel)]
    kept = [column for column in range(len(HEADERS)) if any(row[column] for row in rows)]
    return table([HEADERS[column] for column in kept], [[row[column] for column in kept] for row in rows])


def cited(record: Record, page: pathlib.Path) -> str:
    """The rows that the paper cites from other work."""
    targets = [row.target for row in rows_of(record, "table1-cited")]
    rows = [[name_of(target), value(target.paper_mean, target.paper_ci95)] for target in targets]
    return table(["what", "as the paper cites it"], rows)


def peers(record: Record, page: pathlib.Path) -> str:
    """Every number that another project publishes for one of the paper's, with its source and what differs."""
    rows = []
    for row in record.comparison.rows:
        for peer in best_first(record.comparison.peers, row.target):
            shown = value(peer.value, peer.ci95) + (f" (seeds ± {number(peer.sd_seeds, 3)})" if peer.sd_seeds else "")
            difference = peer.tag + ("; stated without log, seed or interval" if peer.claim else "")
            rows.append([f"{name_of(row.target)}{_after(row)}", shown, peer.source, difference])
    return table(["what", "value", "source", "difference to the paper's protocol"], rows)


def best_peer(record: Record, row: Row) -> str:
    """The best peer's value with what differs, or nothing."""
    found = best_first(record.comparison.peers, row.target)
    if not found:
        return ""
    return f"{number(found[0].value)} ({found[0].tag}{'; claimed' if found[0].claim else ''})"


def verdict(record: Record, page: pathlib.Path, row: Row, with_detail: bool = True) -> str:
    """The verdict of a row in words; a known failure links to its explanation."""
    shown = f"**{row.verdict}**" if row.verdict == MISS else row.verdict
    notes = [row.detail] if row.detail and with_detail else []
    notes += [row.other_iterations] if row.other_iterations else []
    if row.known_failure is not None and row.explained:
        link = f"{link_between(page, record.root / 'docs' / 'known_failures.md')}#{row.known_failure.id}"
        shown = f"**[known failure]({link})**" if row.verdict == MISS else shown
        notes += [f"[flaky]({link})"] if row.known_failure.flaky else []
    return f"{shown} ({'; '.join(notes)})" if notes else shown


def wilson(target: Target, ours: TargetValue) -> str:
    """Wilson's interval of an accuracy in percent, `98.3 to 99.4`; nothing for other metrics."""
    if target.metric != "accuracy_percent":
        return ""
    low, high = wilson_interval_95(ours.mean / 100, ours.ci95 / 100, ours.n_tasks)
    return f"{measured(100 * float(low))} to {measured(100 * float(high))}"


def _cells(record, page, row):
    target = row.target
    ours, interval, seeds = "", "", ""
    if row.ours is not None:
        ours, interval = measured(row.ours.mean, row.ours.ci95), wilson(target, row.ours)
        seeds = of_each_seed(row.ours.per_seed)
    elif row.verdict == NOT_RUN:
        ours = "—"
    steps = "" if target.grad_step is None else str(target.grad_step)
    paper = "" if target.paper_mean is None else value(target.paper_mean, target.paper_ci95)
    return [
        name_of(target),
        steps,
        paper,
        best_peer(record, row),
        ours,
        interval,
        seeds,
        _allowed(target),
        verdict(record, page, row),
        _difference(row, record.comparison),
        _wrong_program(target, record.comparison),
    ]


def _difference(row, comparison):
    found = equivalence(row, comparison)
    return "" if found is None else shown_equivalence(found).removesuffix(f" ({found.how})")


def _wrong_program(target, comparison):
    """Those that pass too, in bold; the closest one where none does."""
    wrong = wrong_programs(target, comparison)
    passing = [f"**{shown_wrong_program(each)}**" for each in wrong if each.passes]
    return "; ".join(passing or map(shown_wrong_program, wrong[:1]))


def _allowed(target):
    if not target.gated:
        return ""
    width = number(target.half_width, 3)
    return f"± {width}, or better" if target.tolerance.rule == "two_sided_or_better" else f"± {width}"


def _after(row):
    step = row.target.grad_step
    return f", {step} {'step' if step == 1 else 'steps'}" if isinstance(step, int) else ""
