"""The problems take sizes, constants and trained weights from the specs."""

import dataclasses

import numpy as np
import pytest

from benchmarks import benchmark, problems
from benchmarks.problems import write_problem
from benchmarks.workloads import WORKLOADS, spec_of


def test_the_problem_takes_its_constants_from_the_spec(described):
    problem, arrays = described
    workload = WORKLOADS[problem["workload"]]
    spec = spec_of(workload)
    assert problem["step_size"] == spec.inner.step_size
    assert problem["first_order"] == spec.inner.first_order
    assert len(benchmark.weights_of(problem, arrays)) == len(problem["adaptable"])
    assert benchmark.batch_of(arrays)[0].shape[:2] == (problem["tasks"], problem["support"])


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("miniimagenet_1shot", "mini_imagenet_conv"),
        ("omniglot_20way_1shot", "omniglot_conv"),
        ("omniglot_5way_1shot_nonconv", "mlp"),
    ],
)
def test_meta_gradients_are_compared_at_trained_weights(name, network, tmp_path):
    workload = dataclasses.replace(WORKLOADS[name], tasks=1)
    problem, arrays = write_problem(workload, tmp_path / "problem.npz")
    with np.load(problems.TRAINED[network, problem["outputs"]]) as trained:
        assert set(trained.files) == set(problem["names"])
        for weight, expected in trained.items():
            np.testing.assert_array_equal(arrays[f"params/{weight}"], expected)
