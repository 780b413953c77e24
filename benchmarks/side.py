"""One side of a workload in a process of its own: prepares it, then repeats it whenever the parent asks.

    python -m benchmarks.side MODULE SIDE PROBLEM.npz

A request is a line of JSON on the standard input, {"repetitions": n, "save": file or null}; the answer a line on the
standard output. Nothing of maml_tf is imported here: peers run in environments without TensorFlow.
"""

import importlib
import json
import os
import resource
import sys
import time

import numpy as np

from benchmarks.prepared import read_problem


def peak_memory():
    """The most memory that this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main():
    module, side, problem_file = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    module = importlib.import_module(f"benchmarks.{module}")
    imported = peak_memory()
    prepared = module.prepare(side, *read_problem(problem_file))
    for line in sys.stdin:
        request = json.loads(line)
        started, cpu = time.perf_counter(), time.process_time()
        result = prepared.run(request["repetitions"])
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        if request.get("save"):
            np.savez(request["save"], *prepared.values(result))
        answer = {
            "seconds": seconds / request["repetitions"],
            "cpu_seconds": cpu / request["repetitions"],
            "cpu_seconds_so_far": time.process_time(),
            "units": prepared.units(result),
            "imported_bytes": imported,
            "peak_bytes": peak_memory(),
            "versions": module.versions(),
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
