"""The tool that kills trainings: two kinds here, all of them by `make kills`."""

import re

from helpers import ROOT, run_python


def test_killed_trainings_have_the_same_bits():
    done = run_python(
        ROOT / "tests" / "tools" / "kills.py", "sinusoid_multitask_l2_reg", "point_navigation_maml", "--kills=6"
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(re.findall(r"kills hit, same bits", done.stdout)) == 2
    assert int(re.search(r"^(\d+) kills$", done.stdout, re.MULTILINE).group(1)) >= 3


def test_an_unknown_case_is_named():
    done = run_python(ROOT / "tests" / "tools" / "kills.py", "nothing")
    assert done.returncode == 2
    assert "nothing: no such case; there are sinusoid_maml" in done.stderr
