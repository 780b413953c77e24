"""Markdown that the generated parts share: tables, values, times."""

import math
import os
import pathlib
from collections.abc import Sequence

NBSP = "\N{NO-BREAK SPACE}"
LISTED = 5  # seeds that are listed one by one


def table(headers: list[str], rows: list[list[str]]) -> str:
    """A Markdown table. Values such as `1.0 ± 0.1` and `1 / 2` do not break over lines."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def value(mean: float | None, ci95: float | None = None, digits: int = 4) -> str:
    """A mean with its 95 % half width where there is one: `98.7 ± 0.4`."""
    if mean is None:
        return "—"
    if not math.isfinite(mean):
        return "diverged"
    shown = number(mean, digits)
    return f"{shown} ± {number(ci95, 3)}" if ci95 is not None and math.isfinite(ci95) else shown


def measured(mean: float, ci95: float | None = None, digits: int = 4) -> str:
    """A measured mean with its 95 % half width, zeros at the end included: `46.00 ± 1.86`."""
    if not math.isfinite(mean):
        return "diverged"
    shown = f"{mean:#.{digits}g}".rstrip(".")
    return f"{shown} ± {ci95:#.3g}".rstrip(".") if ci95 is not None and math.isfinite(ci95) else shown


def number(value: float, digits: int = 4) -> str:
    """A number to that many significant digits, without an exponent up to a million: `-40.41`, `0.3611`, `99.03`."""
    if not math.isfinite(value):
        return "diverged"
    return f"{value:.{digits}g}" if abs(value) < 10**digits or abs(value) >= 1e6 else f"{value:.0f}"


def of_each_seed(means: Sequence[float]) -> str:
    """The value of every seed, `98.5, 98.9`; of many seeds the range, `-101.2 to -54.7 (10 seeds)`."""
    if len(means) <= LISTED or not all(map(math.isfinite, means)):
        return ", ".join(map(measured, means))
    return f"{measured(min(means))} to {measured(max(means))} ({len(means)} seeds)"


def shown_seeds(numbers: Sequence[int]) -> str:
    """The numbers of the seeds, `1, 2, 3`; many that follow each other as `1 to 10`."""
    if len(numbers) > LISTED and list(numbers) == [*range(numbers[0], numbers[-1] + 1)]:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them: `45 s`, `12 min`, `2.4 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f}{NBSP}s"
    return f"{seconds / 60:.0f}{NBSP}min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f}{NBSP}h"


def short_time(seconds: float) -> str:
    """A time of less than a minute to three digits: `0.289 ms`, `1.34 s`."""
    unit, factor = next((scale for scale in (("s", 1.0), ("ms", 1e3)) if seconds * scale[1] >= 0.1), ("µs", 1e6))
    return f"{seconds * factor:.3g}{NBSP}{unit}"


def machine(hardware: str) -> str:
    """The hardware of a result file, with "1 core" in place of "1 cores"."""
    return hardware.replace(", 1 cores", ", 1 core")


def link_between(page: pathlib.Path, path: pathlib.Path) -> str:
    """The relative link from a page to a file."""
    return pathlib.PurePath(os.path.relpath(path, page.parent)).as_posix()


def _cell(text):
    """Text as a cell: a bar would begin another one."""
    for sign in ("±", "/"):
        text = text.replace(f" {sign} ", f"{NBSP}{sign}{NBSP}")
    return text.replace("|", "\\|")
