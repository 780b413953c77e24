"""Exports a network for benchmarks.serving, in a process that ends before the service is measured.

    python -m benchmarks.serving_export SPEC FOLDER

Prints the time of one adaptation by LiteRT's interpreter with one thread, and the size of its file, as JSON.
"""

import json
import pathlib
import statistics
import sys
import time
import warnings

import numpy as np
import tensorflow as tf

from benchmarks.problems import TRAINED
from benchmarks.workloads import IMAGE_SHAPES, SPECS
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.spec import read_spec
from maml_tf.training.weights import read_weights

REPEATS = 7


def main(name: str, folder: str) -> None:
    """Writes a SavedModel to `folder` and a LiteRT file next to it."""
    spec = read_spec(SPECS / f"{name}.yaml")
    learner = experiment_class(spec).build_learner(spec)
    params = read_weights(TRAINED[spec.model.network, spec.tasks.ways], learner)
    shape = (spec.tasks.ways * spec.tasks.shots, *IMAGE_SHAPES[spec.tasks.dataset])
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    labels = np.repeat(np.arange(spec.tasks.ways), spec.tasks.shots)
    learner.export(folder, images, labels, params=params)
    path = pathlib.Path(f"{folder}.tflite")
    learner.export_litert(path, images, labels, queries=len(images), params=params)
    print(json.dumps({"seconds": _seconds(path, images, labels), "file_bytes": path.stat().st_size}))


def _seconds(path: pathlib.Path, images: np.ndarray, labels: np.ndarray) -> float:
    """The median time of an adaptation with predictions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the interpreter moves to another package
        runner = tf.lite.Interpreter(str(path), num_threads=1).get_signature_runner()
    times = []
    for _ in range(REPEATS + 1):  # the first is slow
        start = time.perf_counter()
        runner(support_x=images, support_y=labels.astype(np.int32), query_x=images)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main(*sys.argv[1:])
