"""The process of one implementation: prepares it, then repeats it whenever the runner asks.

    python -m benchmarks.worker MODULE IMPLEMENTATION PROBLEM.npz {float32,float64}

A request is a line of JSON on the standard input, {"repetitions": n, "save": file or null}. The answer is a line of
JSON on the standard output. Nothing of maml_tf is imported here: peers run in environments without TensorFlow.
"""

import importlib
import json
import os
import resource
import sys
import time

import numpy as np

from benchmarks.benchmark import in_float64, read_problem


def peak_memory() -> int:
    """The largest amount of memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    module_name, implementation, problem_file, precision = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not appear among the answers
    module = importlib.import_module(f"benchmarks.implementations.{module_name}")
    imported = peak_memory()
    problem, arrays = read_problem(problem_file)
    benchmark = module.prepare(implementation, problem, in_float64(arrays) if precision == "float64" else arrays)
    for line in sys.stdin:
        request = json.loads(line)
        started, cpu = time.perf_counter(), time.process_time()
        result = benchmark.run(request["repetitions"])
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        if request.get("save"):
            np.savez(request["save"], *benchmark.values(result))
        answer = {
            "seconds": seconds / request["repetitions"],
            "cpu_seconds": cpu / request["repetitions"],
            "cpu_seconds_since_start": time.process_time(),
            "units": benchmark.units(result),
            "imported_bytes": imported,
            "peak_bytes": peak_memory(),
            "versions": module.versions(),
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
