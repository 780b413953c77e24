"""The benchmark's command line."""

import pytest

from benchmarks import run
from maml_tf.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--implementations", "theirs"], "theirs: allowed are ours, "),
        (["sinusoids"], "'sinusoids': allowed are sinusoid, "),
        (["--rounds", "0"], "--rounds 0: at least 1 is needed"),
        (["--cores", "4096"], r"--cores \[4096\]: this machine has "),
    ],
)
def test_wrong_use_is_named(monkeypatch, arguments, message):
    monkeypatch.setattr("sys.argv", ["run", *arguments])
    with pytest.raises(UsageError, match=message):
        run.main()
