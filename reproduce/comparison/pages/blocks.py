"""Generated blocks within hand-written Markdown, between `<!-- generated: NAME -->` and `<!-- /generated -->`."""

import pathlib
import re

from maml_tf.errors import UsageError

BLOCK = re.compile(
    r"(?P<start><!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(?P<end><!-- /generated -->)", re.DOTALL
)
MARKER = re.compile(r"<!-- /?generated")


def pages_of(root: pathlib.Path) -> list[pathlib.Path]:
    """README.md and the pages of docs/ that hold generated blocks."""
    paths = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [path for path in paths if MARKER.search(path.read_text(encoding="utf-8"))]


def refreshed(path: pathlib.Path, makers, record) -> str:
    """The text of a page with every block made again.

    Args:
        path: of the page.
        makers: {block name: function(record, page) -> Markdown}; `page` is the path, relative links start from it.
        record: the published Record.

    Raises:
        UsageError: a block has an unknown name, or no end.
    """
    text = path.read_text(encoding="utf-8")

    def made(match):
        name = match["name"]
        if name not in makers:
            raise UsageError(f"{path}: generated: {name!r} is not allowed; expected one of {', '.join(sorted(makers))}")
        return f"{match['start']}{makers[name](record, path).strip()}\n{match['end']}"

    if len(MARKER.findall(text)) != 2 * len(BLOCK.findall(text)):
        raise UsageError(f"{path}: a block begins with <!-- generated: NAME --> and ends with <!-- /generated -->")
    return BLOCK.sub(made, text)
