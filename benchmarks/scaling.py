"""What it costs to spread a training or a sweep by Ray on one machine: `make bench-scale`.

Meta-iterations over two actors and on the built-in path with two cores, in turns, in one run. Then jobs that do
nothing, by the launchers of a sweep and directly.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peer_venvs import ROOT
from benchmarks.result_files import RESULTS, origin_of, write_measurement
from benchmarks.workloads import SPECS, WORKLOADS
from maml_tf.cli import exit_codes
from maml_tf.experiments.spec import read_spec
from maml_tf.sweep.jobs import Job
from maml_tf.sweep.launcher import Launcher
from maml_tf.sweep.local import LocalLauncher
from maml_tf.sweep.ray import RayLauncher
from maml_tf.sweep.states import State
from maml_tf.sweep.sweep import Sweep, rows_of
from maml_tf.training.ray_cluster import ray_module

RESULT = RESULTS / "scaling.json"
CORES = 2
NETWORKS = {"omniglot_5way_1shot": 8, "miniimagenet_1shot": 2}  # meta-iterations of a turn
ROUNDS = 7
JOBS = 12
NOTHING = (sys.executable, "-S", "-c", "")


def main() -> None:
    """Measures and writes the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data/prepared"))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each path")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    arguments = parser.parse_args()
    ray = ray_module("bench-scale")
    from maml_tf.runtime import configure_runtime

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    configure_runtime(CORES)
    load = os.getloadavg()[0]
    ray.init(
        address="local", num_cpus=CORES, include_dashboard=False, object_store_memory=300 * 2**20, log_to_driver=False
    )
    result: dict[str, Any] = {"networks": {}, "cores": CORES, "rounds": arguments.rounds}
    for name, iterations in NETWORKS.items():
        result["networks"][name] = measure(WORKLOADS[name].spec, iterations, arguments.rounds, arguments.data)
        print(f"{name}: {result['networks'][name]}", flush=True)
    result["seconds_per_job"] = {
        "directly": directly(),
        "local": by_launcher(LocalLauncher(CORES)),
        "ray": by_launcher(RayLauncher(CORES, "auto")),
    }
    print(f"jobs: {result['seconds_per_job']}", flush=True)
    result |= origin_of("benchmarks.scaling") | {"ray": ray.__version__, "load": load}
    write_measurement(arguments.out, result)


def measure(spec_name: str, iterations: int, rounds: int, data: pathlib.Path) -> dict[str, Any]:
    """Seconds of a meta-iteration on both paths, and whether they end with the same bits."""
    import tensorflow as tf

    from maml_tf.experiments.run import build_experiment
    from maml_tf.training.adam import Adam, TrainingState
    from maml_tf.training.loop import compiled_loop
    from maml_tf.training.ray_workers import RayWorkers
    from maml_tf.training.shares import WorkerSpread

    spec = read_spec(SPECS / f"{spec_name}.yaml", "paper")
    experiment = build_experiment(spec, spec.seeds[0], data)
    learner, batch_size = experiment.learner, spec.meta.batch_size
    state = TrainingState.start(learner.initial_params())

    def loop(spread: WorkerSpread | None) -> Callable[..., Any]:
        options = {"batch_size": batch_size, "seed": (spec.seeds[0], 0), "gradient_clip": spec.meta.gradient_clip}
        return compiled_loop(learner, experiment.tasks, Adam(spec.meta.learning_rate), spread=spread, **options)

    def seconds(run: Callable[..., Any]) -> tuple[float, Any]:
        started = time.monotonic()
        after, _ = run(state, tf.constant(iterations))
        params = [np.asarray(p) for p in after.params]
        return (time.monotonic() - started) / iterations, params

    spread = WorkerSpread(learner, RayWorkers(CORES), batch_size)
    try:
        paths = {"built_in": loop(None), "actors": loop(spread)}
        ends = {name: seconds(run)[1] for name, run in paths.items()}  # traces and compiles
        times: dict[str, list[float]] = {name: [] for name in paths}
        for turn in range(rounds):
            for name in list(paths)[:: 1 if turn % 2 else -1]:
                times[name].append(seconds(paths[name])[0])
    finally:
        spread.close()
    ratios = [a / b for a, b in zip(times["actors"], times["built_in"], strict=True)]
    return {
        "tasks": batch_size,
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "same_bits": all(np.array_equal(a, b) for a, b in zip(*ends.values(), strict=True)),
    }


def directly() -> float:
    """Seconds of a job that does nothing, without a launcher."""
    started = time.monotonic()
    for _ in range(JOBS):
        subprocess.run(NOTHING, check=True)
    return (time.monotonic() - started) / JOBS


def by_launcher(launcher: Launcher) -> float:
    """Seconds of a job that does nothing, one after the other in a sweep by this launcher."""
    with tempfile.TemporaryDirectory() as folder:
        logs = pathlib.Path(folder)
        rows = rows_of(Job(f"job{n}", f"job {n}", NOTHING, ROOT, logs / f"{n}.log") for n in range(JOBS))
        started = time.monotonic()
        Sweep(rows, launcher, 0, lambda rows: None).run()
        seconds = (time.monotonic() - started) / JOBS
    assert all(row.state == State.FINISHED for row in rows)
    return seconds


if __name__ == "__main__":
    with exit_codes():
        main()
