"""The README's example, for pages that explain it."""

import pathlib
import re

from reproduce.comparison.pages.record import Record


def example(record: Record, page: pathlib.Path) -> str:
    """The first Python block of README.md."""
    readme = (record.root / "README.md").read_text(encoding="utf-8")
    return re.search(r"```python\n.*?```", readme, re.DOTALL)[0]
