"""The example of an environment of one's own runs, and adapts to its tasks."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_example_learns_to_adapt():
    command = [sys.executable, "-c", (ROOT / "examples" / "own_environment.py").read_text(encoding="utf-8")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after, _ = (float(value) for value in re.findall(r"mean return (.*)", done.stdout))
    assert after > before / 2  # standing still at the start gives -11 a trajectory
