"""The table of a sweep: the state of each job, its iterations, its rate and the remaining time."""

from __future__ import annotations

import collections
import math
import os
import pathlib
import sys
import time
from collections.abc import Sequence

from maml_tf.sweep.processes import last_lines
from maml_tf.sweep.states import State
from maml_tf.sweep.sweep import Row
from maml_tf.training.progress import announce, clock

SECONDS_BETWEEN_TABLES = 60
HEADER = ("job", "state", "iterations", "it/s", "remaining", "tries")
# What a terminal with few lines shows first.
ORDER = (
    State.RUNNING,
    State.FAILED,
    State.QUEUED,
    State.ELSEWHERE,
    State.STOPPED,
    State.WAITING,
    State.FINISHED,
)


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the table, with a header."""
    cells = [HEADER, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADER))]
    return [
        "  ".join(cell.ljust(width) if index < 2 else cell.rjust(width) for index, (cell, width) in enumerate(pairs))
        for pairs in (zip(row, widths, strict=True) for row in cells)
    ]


def counts(rows: Sequence[Row]) -> str:
    """How many jobs are in each state."""
    number = collections.Counter(row.state for row in rows)
    return f"{len(rows)} jobs: " + ", ".join(f"{number[state]} {state}" for state in State if number[state])


def failures(rows: Sequence[Row]) -> list[str]:
    """What is to be said about each job that failed or that another process trains, with the end of its log."""
    lines = []
    for row in rows:
        if row.state == State.FAILED:
            tries = f" (try {row.tries})" if row.tries > 1 else ""
            lines.append(f"{row.job.label}: {row.reason}{tries}; the end of {_short(row.job.log)}:")
            lines += [f"    {line}" for line in last_lines(row.job.log)]
        elif row.state == State.ELSEWHERE:
            lines.append(f"{row.job.label}: another process trains it: {row.reason}")
    return lines


class Display:
    """Shows a sweep while it runs: a table that is drawn again in a terminal, lines elsewhere."""

    def __init__(self):
        self._terminal = sys.stderr.isatty()
        self._drawn = 0
        self._seen: dict[str, tuple[State, int]] = {}
        self._table_at = time.monotonic()

    def __call__(self, rows: Sequence[Row]) -> None:
        """Shows the rows."""
        if self._terminal:
            self._draw(rows)
            return
        for row in rows:
            now, before = (row.state, row.tries), self._seen.get(row.job.name)
            self._seen[row.job.name] = now
            if before is not None and now != before and row.state != State.QUEUED:
                again = row.state == State.WAITING and row.reason
                announce(f"{row.job.label}: " + (f"{row.reason}; it is tried again" if again else str(row.state)))
        if time.monotonic() - self._table_at >= SECONDS_BETWEEN_TABLES:
            self._table_at = time.monotonic()
            announce("\n".join([counts(rows), *table([row for row in rows if row.state == State.RUNNING])]))

    def _draw(self, rows: Sequence[Row]) -> None:
        size = os.get_terminal_size(sys.stderr.fileno())
        fitting = max(1, size.lines - 3)
        shown = set(sorted(range(len(rows)), key=lambda index: ORDER.index(rows[index].state))[:fitting])
        lines = [counts(rows), *table([row for index, row in enumerate(rows) if index in shown])]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        print(
            up + "".join(f"\x1b[2K{line[: size.columns - 1]}\n" for line in lines) + "\x1b[J", end="", file=sys.stderr
        )
        sys.stderr.flush()
        self._drawn = len(lines)


def _short(path: pathlib.Path) -> str:
    """A path as the user would type it: from the working directory where it is inside."""
    return os.path.relpath(path) if path.is_relative_to(pathlib.Path.cwd()) else str(path)


def _cells(row: Row) -> tuple[str, ...]:
    iterations = f"{row.reached.iteration}/{row.job.iterations}" if row.job.iterations else "-"
    running = row.state == State.RUNNING
    rate = f"{row.rate:.3g}" if running and not math.isnan(row.rate) else "-"
    remaining = clock(row.remaining) if running and not math.isnan(row.remaining) else "-"
    return row.job.label, str(row.state), iterations, rate, remaining, str(row.tries)
