"""The benchmark's command line."""

import os

import pytest

from benchmarks import run
from maml_tf.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--implementations", "theirs"], "theirs: allowed are ours, "),
        (["sinusoids"], "'sinusoids': allowed are sinusoid, "),
        (["--rounds", "0"], "--rounds 0: at least 1 is needed"),
        (["--instruction-set", "avx2", "--growth"], "--instruction-set is for workloads"),
        (["--cores", "4096"], r"--cores \[4096\]: this machine has "),
    ],
)
def test_wrong_use_is_named(monkeypatch, arguments, message):
    monkeypatch.setattr("sys.argv", ["run", *arguments])
    with pytest.raises(UsageError, match=message):
        run.main()


def test_an_instruction_set_reaches_the_workers_and_has_a_result_file_of_its_own(monkeypatch, tmp_path):
    """Numbers with AVX2 must not stand among those of the whole processor."""
    monkeypatch.setattr("sys.argv", ["run", "sinusoid", "--cores", "1", "--peers", "--instruction-set", "avx2"])
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    monkeypatch.setattr(run, "write_problem", lambda workload, data: "problem")
    monkeypatch.setattr(run, "read_problem", lambda path: ({"workload": "sinusoid"}, {}))
    monkeypatch.setattr(run, "write_report", lambda folder: None)
    monkeypatch.setattr(os, "environ", {**os.environ})
    found = {}

    def measure(*_):
        found.update(os.environ)
        return {"ratios": {}}

    monkeypatch.setattr(run, "measure", measure)
    run.main()
    assert found["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2"
    assert found["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert [path.name for path in tmp_path.iterdir()] == ["sinusoid_peers_avx2.json"]
