"""The cost of lower precision in matrix products and convolutions. `make precision`.

Compares the meta-gradients of the convolutional classifiers at trained weights, and the accuracy of these weights on
the 600 test tasks: in float32, in TensorFloat-32 as GPUs offer it (emulated, see tf32_emulation.py) and in bfloat16.
"""

import contextlib
import dataclasses
import pathlib
import time
from typing import Any

import numpy as np

from maml_tf.cli import exit_codes, print_curves
from maml_tf.experiments.spec import BOTH_SETS, ExperimentSpec
from reproduce.studies.study import study_parser, write_study

NAME = "precision"
WORKLOADS = ("omniglot_5way_1shot", "omniglot_20way_1shot", "miniimagenet_1shot")  # of the benchmark
PRECISIONS = ("float32", "tensor_float_32", "bfloat16")
IMPLEMENTATIONS = {"float32": "ours", "tensor_float_32": "ours", "bfloat16": "ours_bfloat16"}


def products_in(precision: str) -> contextlib.AbstractContextManager:
    """A context in which traced models multiply in this precision. For bfloat16 the models do so by themselves."""
    from reproduce.studies.tf32_emulation import tf32_products

    return tf32_products() if precision == "tensor_float_32" else contextlib.nullcontext()


def meta_gradient(problem: dict[str, Any], arrays: dict[str, np.ndarray], implementation="ours") -> list[np.ndarray]:
    """The meta-gradient of a benchmark's problem by one of its implementations, in the precision of the arrays."""
    from benchmarks.implementations.ours import prepare

    prepared = prepare(implementation, problem, arrays)
    return prepared.values(prepared.run(1))


def test_accuracies(spec: ExperimentSpec, precision: str, data_folder: pathlib.Path) -> tuple[np.ndarray, dict]:
    """(accuracies in percent [tasks, steps + 1] of the benchmark's trained weights for a spec, origin of the data)."""
    from benchmarks.problems import TRAINED
    from maml_tf.experiments.run import build_experiment
    from maml_tf.training.weights import read_weights

    model = dataclasses.replace(spec.model, precision=precision)
    experiment = build_experiment(dataclasses.replace(spec, model=model), spec.seeds[0], data_folder)
    params = read_weights(TRAINED[spec.model.network, spec.tasks.ways], experiment.model)
    return experiment.test_scores(params), experiment.data


def main() -> None:
    arguments = study_parser(__doc__.splitlines()[0]).parse_args()

    from benchmarks.agreement import difference
    from benchmarks.benchmark import in_float64
    from benchmarks.problems import write_problem
    from benchmarks.workloads import WORKLOADS as BENCH
    from benchmarks.workloads import spec_of
    from maml_tf.experiments.run import summarise
    from maml_tf.runtime import configure_runtime

    configure_runtime()
    started, curves, settings = time.monotonic(), {}, {}
    for name in WORKLOADS:
        problem_file = arguments.runs / "precision" / f"{name}.npz"
        problem, arrays = write_problem(BENCH[name], problem_file, arguments.data)
        exact = meta_gradient(problem, in_float64(arrays))
        settings[name] = {}
        for precision in PRECISIONS:
            with products_in(precision):
                off = difference(meta_gradient(problem, arrays, IMPLEMENTATIONS[precision]), exact)
                scores, data = test_accuracies(spec_of(BENCH[name]), precision, arguments.data)
            settings[name][f"meta_gradient_off_{precision}"] = float(f"{off:.3g}")
            settings[name]["data"] = str(data["origin"])
            curves[f"{name}_{precision}"] = summarise([scores])
            print(f"{name}, {precision}: the meta-gradient is off by {off:.2g} of its norm")
            print_curves(NAME, {f"{name}_{precision}": curves[f"{name}_{precision}"]}, BOTH_SETS)
    write_study(NAME, arguments, started=started, curves=curves, settings=settings)


if __name__ == "__main__":
    with exit_codes():
        main()
