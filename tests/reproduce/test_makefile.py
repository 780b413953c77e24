"""The Makefile: help is complete, and what it names exists."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def test_help_lists_every_target_with_an_explanation():
    shown = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    phony = re.search(r"\.PHONY:(.*?)\n\n", MAKEFILE, re.DOTALL)[1].replace("\\\n", " ").split()
    targets = {word for word in phony if not word.startswith("$(")} | {"sinusoid-maml", "sinusoid-baselines"}
    listed = dict(re.findall(r"^  make (\S+) +(\S.*)$", shown, re.MULTILINE))
    assert set(listed) == targets


def test_every_script_and_spec_that_the_makefile_names_exists():
    for path in re.findall(r"(?:reproduce|data)/[\w./]+\.(?:py|yaml)", MAKEFILE):
        assert (ROOT / path).exists(), path
