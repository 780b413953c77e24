"""The table of what Ray costs."""

import json

from reproduce.comparison.pages.record import Record
from reproduce.comparison.pages.scaling import NETWORKS, NOT_MEASURED, scaling


def record_of(root):
    record = object.__new__(Record)
    object.__setattr__(record, "root", root)
    return record


def test_the_table_of_a_result_file_and_without_one(tmp_path):
    assert scaling(record_of(tmp_path), tmp_path) == NOT_MEASURED
    one = {
        "tasks": 32,
        "seconds": {"built_in": 0.05, "actors": 0.06},
        "ratio": 1.2,
        "ratio_range": [1.1, 1.3],
        "same_bits": False,
    }
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    result = {
        "networks": dict.fromkeys(NETWORKS, one),
        "seconds_per_job": {"directly": 0.01, "local": 0.11, "ray": 0.51},
        "command": "python -m benchmarks.scaling",
        "date": "2026-11-30",
        "hardware": "AMD EPYC, 2 cores",
        "git_commit": "0123456789",
        "ray": "2.60.0",
        "load": 0.5,
    }
    (folder / "scaling.json").write_text(json.dumps(result))
    page = scaling(record_of(tmp_path), tmp_path)
    assert "| Omniglot 5-way 1-shot | 32 |" in page
    assert "1.2 (1.1 to 1.3)" in page
    assert "equal up to rounding" in page
    assert "commit 0123456," in page
