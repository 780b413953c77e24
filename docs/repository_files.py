"""Puts files from outside docs/ into the site: pictures, films, result files, and Markdown files of other folders.

* `--8<-- "data/README.md"` on a line of its own includes that file of the repository.
* A relative link such as `../reproduce/results/figures/fig6.png` works where the Markdown is read in the repository.
  This hook of mkdocs copies the linked file into the site and points the link at the copy.

A missing file, or a link to a kind of file that has no place in the site, stops the build.
"""

import pathlib
import posixpath
import re

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

INCLUDE = re.compile(r'^--8<-- "(?P<path>[^"]+)"$', re.MULTILINE)
LINK = re.compile(r"(?P<before>\]\(|(?:src|href)=\")(?P<path>[^)#\"\s:]+)(?=[)#\"])")
COPIED = {".png", ".gif", ".svg", ".json", ".yaml", ".npz"}


def on_files(files, config):
    """Adds every linked file that lies outside docs/."""
    root = pathlib.Path(config.docs_dir).parent
    for page in list(files.documentation_pages()):
        _, copies = in_site(page.content_string, page.src_uri, root)
        for path in copies:
            if not (root / path).is_file():
                raise PluginError(f"{page.src_uri}: there is no file {path}")
            if files.get_file_from_path(path) is None:
                files.append(File.generated(config, path, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Includes files and rewrites links to the places of the copies."""
    return in_site(markdown, page.file.src_uri, pathlib.Path(config.docs_dir).parent)[0]


def in_site(markdown, src_uri, root):
    """The Markdown of the page docs/<src_uri> as the site needs it, and the repository paths of the files to copy."""
    copies = set()

    def with_links(text, folder):
        def rewritten(match):
            path = posixpath.normpath(posixpath.join(folder, match["path"]))
            if not path.startswith("docs/"):
                if posixpath.splitext(path)[1] not in COPIED:
                    raise PluginError(f"{src_uri}: {match['path']} lies outside docs/ and is none of {sorted(COPIED)}")
                copies.add(path)
            return match["before"] + posixpath.relpath(path.removeprefix("docs/"), posixpath.dirname(src_uri) or ".")

        return LINK.sub(rewritten, text)

    def included(match):
        file = root / match["path"]
        if not file.is_file():
            raise PluginError(f"{src_uri}: includes {match['path']}, which does not exist")
        return with_links(file.read_text(encoding="utf-8"), posixpath.dirname(match["path"]))

    parts, end = [], 0
    for match in INCLUDE.finditer(markdown):
        parts += [
            with_links(markdown[end : match.start()], posixpath.join("docs", posixpath.dirname(src_uri))),
            included(match),
        ]
        end = match.end()
    parts.append(with_links(markdown[end:], posixpath.join("docs", posixpath.dirname(src_uri))))
    return "".join(parts), sorted(copies)
