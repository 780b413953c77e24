"""The lock with hashes names the packages and versions of constraints.txt."""

import re

from helpers import ROOT
from tools import hashes


def test_every_locked_package_has_its_hashes():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^(\S+==\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    pinned = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [name for name, _ in entries] == pinned


def test_files_of_several_pythons_are_put_together():
    def report(digest):
        archive = {"archive_info": {"hashes": {"sha256": digest}}}
        return {"install": [{"metadata": {"name": "A_b", "version": "1.0"}, "download_info": archive}]}

    text = hashes.text_of(hashes.locked([report("b" * 64), report("a" * 64), report("a" * 64)]))
    assert text.removeprefix(hashes.HEADER) == (
        f"a-b==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    )
