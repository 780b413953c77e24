"""Small versions of the workloads. Nothing here measures time."""

import dataclasses
import importlib
import pathlib

import pytest
import tensorflow as tf

from benchmarks import benchmark
from benchmarks.problems import write_problem
from benchmarks.workloads import WORKLOADS, Workload

# Small versions of the supervised workloads. Omniglot's and mini-ImageNet's others differ from these in sizes only. The
# image sides are odd, so that paddings and cut-off pooling edges matter.
TINY = {
    "sinusoid": {"tasks": 3},
    "omniglot_5way_1shot_nonconv": {"tasks": 2, "steps": 2},
    "omniglot_5way_1shot": {"tasks": 2, "image_side": 13, "steps": 1},
    "miniimagenet_1shot": {"tasks": 2, "image_side": 17, "steps": 1},
    "miniimagenet_1shot_first_order": {"tasks": 1, "image_side": 17, "steps": 1},
}


@pytest.fixture
def tiny():
    """tiny(name) -> the small version of a workload."""

    def get(name: str) -> Workload:
        return dataclasses.replace(WORKLOADS[name], **TINY[name])

    return get


@pytest.fixture(scope="session")
def values_of():
    """values_of(module, name, problem, arrays) -> the values of an implementation's second repetition."""

    def get(module, name, problem, arrays):
        implementation = importlib.import_module(f"benchmarks.implementations.{module}")
        ready = implementation.prepare(name, problem, arrays)
        return ready.values(ready.run(2))

    return get


@pytest.fixture(scope="module", params=TINY)
def described(request, tmp_path_factory):
    """(problem, arrays) of a small version of a workload."""
    path = pathlib.Path(tmp_path_factory.mktemp("bench")) / "problem.npz"
    write_problem(dataclasses.replace(WORKLOADS[request.param], **TINY[request.param]), path)
    return benchmark.read_problem(path)


@pytest.fixture(scope="module")
def problem(described, values_of, small_runs):
    """(problem, arrays, our meta-gradient) of a small version of a workload."""
    return *described, values_of("ours", "ours", *described)


@pytest.fixture(autouse=True, scope="module")
def small_runs():
    """TensorFlow's threads are set once per process, and other tests run in this one.

    Its functions run operation by operation. The benchmark itself compares the values of what is compiled.
    """
    tf.config.run_functions_eagerly(True)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("ours", "ours_rl"):
            patch.setattr(f"benchmarks.implementations.{module}.configure_runtime", lambda: None)
        yield
    tf.config.run_functions_eagerly(False)
