"""The first page of the results: the paper's statements with a verdict each, and how many numbers agree."""

import collections
import pathlib

from reproduce.comparison.pages.markdown import table
from reproduce.comparison.pages.numbers import verdict
from reproduce.comparison.pages.panels import PANELS, rows_of
from reproduce.comparison.pages.record import Record
from reproduce.comparison.verdicts import BETTER, EARLY, MISS, NOT_RUN, PARTIAL, PASS

# The page that shows each panel: by the first word of its name.
PAGES = {
    "table1": "classification",
    "table3": "classification",
    "authors": "classification",
    "table2": "sinusoid",
    "fig6": "sinusoid",
    "sinusoid": "sinusoid",
    "fig4": "reinforcement_learning",
    "fig5": "reinforcement_learning",
    "table4": "reinforcement_learning",
    "table5": "reinforcement_learning",
}
COLUMNS = {
    "pass": (PASS, BETTER),
    "pass at the half-way mark": (EARLY,),
    "known failure": (MISS,),
    "partial": (PARTIAL,),
    "not run": (NOT_RUN,),
}


def claims(record: Record, page: pathlib.Path) -> str:
    """The numbered statements of the paper that are not single numbers."""
    rows = []
    for index, row in enumerate(record.comparison.claims, start=1):
        shown = verdict(record, page, row, with_detail=False)
        rows.append([str(index), row.target.claim, row.target.source, shown, row.detail])
    return table(["", "claim", "source", "verdict", "measured"], rows)


def panel_counts(record: Record, page: pathlib.Path) -> str:
    """For each table and panel: how many gated numbers pass, fail or are not at paper scale."""
    lines = []
    for panel, (title, _) in PANELS.items():
        found = collections.Counter(row.verdict for row in rows_of(record, panel) if row.target.gated)
        if found:
            cells = (sum(found[verdict] for verdict in verdicts) for verdicts in COLUMNS.values())
            link = f"[{title}]({PAGES[panel.split('-')[0]]}.md)"
            lines.append([link, str(found.total()), *(str(cell or "") for cell in cells)])
    return table(["table or panel", "gated numbers", *COLUMNS], lines)
