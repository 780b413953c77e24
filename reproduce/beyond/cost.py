"""What a meta-iteration costs: its mean time over a training relative to MAML's, and the process's peak memory.

Every spec is measured in a process without others: python -m reproduce.beyond.cost. `make beyond-cost`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import UsageError
from maml_tf.experiments.provenance import provenance
from maml_tf.experiments.spec import read_spec
from reproduce import paths
from reproduce.beyond.rows import COST, beyond_store, read_methods, spec_path
from reproduce.studies.study import study_parser

ROUNDS = 5
SECONDS = 1.0  # of each round, at least


def measured(name: str, data: os.PathLike) -> dict[str, float]:
    """Seconds of a meta-iteration, averaged over the training, and the peak memory of this process, in MiB."""
    from maml_tf.experiments.run import build_experiment
    from maml_tf.runtime import configure_runtime
    from maml_tf.training.loop import compiled_loop
    from maml_tf.training.optimizer import default_optimizer
    from maml_tf.training.schedules import rate_of

    configure_runtime()
    spec = read_spec(spec_path(name))
    experiment = build_experiment(spec, spec.seeds[0], data)
    learner = experiment.learner
    optimizer = default_optimizer(rate_of(spec.meta), learner.interpolates)
    options = {"batch_size": spec.meta.batch_size, "seed": (1, 0), "gradient_clip": spec.meta.gradient_clip}
    loop = compiled_loop(learner, experiment.tasks, optimizer, **options)
    seconds = _seconds(loop, optimizer.start(params_after(learner, spec.iterations)))
    # Derivative-order annealing: the first iterations take less time, and are a part of the training.
    if share := getattr(learner, "first_order_iterations", 0) / spec.iterations:
        seconds = share * _seconds(loop, optimizer.start(learner.initial_params())) + (1 - share) * seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "mebibytes": peak}


def params_after(learner: Any, iterations: int) -> list[Any]:
    """theta as at the start of training; where it counts meta-iterations, that many are done."""
    params = learner.initial_params()
    for place, name in enumerate(learner.param_names):
        if name == "meta_iterations":
            params[place] = iterations + params[place]  # which is 0
    return params


def _seconds(loop: Callable[..., Any], state: Any) -> float:
    """Seconds of a meta-iteration from a state on: the median of the rounds."""
    import tensorflow as tf

    count, times = 1, []
    loop(state, tf.constant(1))
    while len(times) < ROUNDS:
        started = time.monotonic()
        loop(state, tf.constant(count))[1].numpy()
        seconds = time.monotonic() - started
        if seconds < SECONDS and not times:
            count *= 4
            continue
        times.append(seconds / count)
    return statistics.median(times)


def main() -> int:
    parser = study_parser(__doc__.splitlines()[0])
    parser.add_argument("columns", nargs="*", help="sinusoid, omniglot, mini_imagenet; default: all of them")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one, arguments.data)))
        return 0
    methods, costs = read_methods(), {}
    allowed = [name for name in methods.columns if name != "half_cheetah"]
    for column in arguments.columns or allowed:
        if column not in allowed:
            raise UsageError(f"{column!r} is not allowed; expected {', '.join(allowed)}")
        names = [row.specs[column] for row in methods.rows if column in row.specs]
        for name in names:
            command = [sys.executable, "-m", "reproduce.beyond.cost", "--one", name, "--data", str(arguments.data)]
            done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise UsageError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            costs[name] = json.loads(done.stdout.splitlines()[-1])
            costs[name]["relative"] = costs[name]["seconds"] / costs[names[0]]["seconds"]
            print(f"{name}: {costs[name]}", flush=True)
    path = beyond_store(paths.own_store(arguments.runs)).comparison / COST
    with atomic_write(path) as file:
        json.dump({"costs": costs, **provenance()}, file, indent=1)
        file.write("\n")
    print(f"written: {os.path.relpath(path, paths.ROOT)}")
    return 0


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
