"""The report shows the measurements, and whether the targets are reached."""

import json

import pytest

from benchmarks import report
from benchmarks.growth import GROWTH
from benchmarks.measure import compare
from benchmarks.targets import NO_REASON
from benchmarks.workloads import WORKLOADS
from maml_tf.errors import UsageError

MLP = {"kind": "meta_gradient", "network": "mlp", "input_shape": [1], "hidden": [40, 40], "outputs": 1}


def entry(seconds, units=1, **more):
    known = {"units": units, "start_up_seconds": 5.0, "imported_bytes": 3 * 10**8, "peak_bytes": 5 * 10**8}
    return known | {"seconds": seconds, "cpu_seconds": seconds, "repetitions": 1, "versions": {"numpy": "2"}} | more


def measurement(entries, problem):
    origin = {"date": "2020-01-01 00:00 UTC", "command": "c", "git_commit": "abc", "hardware": "h"}
    return {"rounds": 3, "load_average": [0.1, 0.2], "implementations": entries} | compare(problem, entries) | origin


def test_the_report_says_what_was_measured_and_whether_the_targets_are_reached(tmp_path):
    problem = MLP | {"tasks": 25, "support": 10, "queries": 10, "steps": 1, "first_order": False}
    entries = {
        "ours": entry([1.0, 2.0, 3.0]),
        "map_fn_reference": entry([20.0, 24.0, 66.0], difference=0.02, off=0.01, ours_off=0.03),
        "jax_vmap": entry([2.0, 2.0, 6.0]),
        "jax_map": entry([8.0]),
        "torchopt": {"failed": "not installed: no wheel"},
        "convolutions": entry([1.5]),
        "sgemm": entry([0.1, 0.1, 0.1]),
    }
    measured = measurement(entries, problem)
    assert measured["ratios"]["map_fn_reference"]["of_medians"] == 12
    assert measured["ratios"]["map_fn_reference"]["quartiles"] == [16, 21]
    assert measured["peak"]["share"] == pytest.approx(measured["peak"]["multiply_adds"] / 2 / (1536**3 / 0.1))
    written = {"problem": problem, "cores": {"1": measured}}
    (tmp_path / "sinusoid_peers.json").write_text(json.dumps(written))
    (tmp_path / "sinusoid_peers_avx2.json").write_text(json.dumps(written))
    steps = {"ours": entry([1.0], units=100), "physics_only": entry([0.8], units=100)}
    steps["async_vector_env"] = entry([1.0], units=10)
    written = {"problem": {}, "cores": {"2": measurement(steps, {"kind": "sampling"})}}
    (tmp_path / "ant_sampling.json").write_text(json.dumps(written))
    points = [{"value": n, "seconds": [n], "cpu_seconds": [n], "imported_bytes": 0, "peak_bytes": n} for n in (1, 2)]
    growth = {"points": dict.fromkeys(GROWTH, points)}
    (tmp_path / "growth.json").write_text(json.dumps(growth | measurement({}, {"kind": "sampling"})))

    report.write_report(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| sinusoid | 1 | 2 s | 12 (16-21) [12], >= 10 **reached** | jax vmap: 1 (" in text
    assert ">= 1.5 **not reached**, 2 of 5 peers |" in text
    assert "% | 75% | 0.1-0.2 |" in text
    assert (
        "| ant sampling | 2 | 10 ms | 10 (10-10) [10], >= 10 **reached** | — | 80%, >= 90% **not reached** | — |"
        in text
    )
    with_avx2 = text.partition("## With AVX2\n")[2]
    assert "| sinusoid | 1 | 2 s | 12 (16-21) [12] | jax vmap: 1 (" in with_avx2
    assert "| ant sampling |" not in with_avx2.partition("## ")[0]
    assert "| torchopt | not installed: no wheel" in text
    assert "| 0.02 (from float64 0.01, ours 0.03) |" in text
    assert "- **sinusoid, the fastest peer / ours: 1 on 1 core; the target is 1.5.** The same" in text
    assert "- **ant sampling, physics alone / ours: 0.8 on 2 cores; the target is 0.9.** A profile" in text
    assert text.count("; the target is") == 2
    assert (tmp_path / "growth.png").stat().st_size > 0


def test_every_missed_target_of_the_results_has_a_reason():
    measured = {name: report.read_measurements(report.RESULTS, name) for name in WORKLOADS}
    text = report.not_reached(measured)
    assert "; the target is" in text
    assert NO_REASON not in text


def test_a_folder_without_measurements_and_a_wrong_file_are_named(tmp_path):
    with pytest.raises(UsageError, match="no measurements"):
        report.write_report(tmp_path)
    (tmp_path / "sinusoid.json").write_text("{}")
    with pytest.raises(UsageError, match=r"sinusoid\.json: no measurement: KeyError"):
        report.write_report(tmp_path)
