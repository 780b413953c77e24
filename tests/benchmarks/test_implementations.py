"""The implementations compute the same thing."""

import dataclasses
import importlib

import mujoco
import numpy as np
import pytest
from reference.rounding import convolutions_of_bfloat16

from benchmarks import problems
from benchmarks.agreement import TOLERANCE, TOLERANCE_IN_FLOAT64, difference
from benchmarks.benchmark import in_float64
from benchmarks.problems import write_problem
from benchmarks.workloads import WORKLOADS

OTHERS = {
    "map_fn_reference": "map_fn_reference",
    "jax_vmap": "peers_jax",
    "jax_map": "peers_jax",
    "torch_vmap": "peers_torch",
    "torch_loop": "peers_torch",
    "torch_vmap_channels_last": "peers_torch",
    "torch_loop_channels_last": "peers_torch",
}
pytestmark = pytest.mark.usefixtures("jax_compiles_fast")
PACKAGES = {"peers_jax": "jax", "peers_torch": "torch"}


@pytest.mark.parametrize("name", OTHERS)
def test_every_implementation_gives_our_meta_gradient(problem, values_of, name):
    constants, arrays, expected = problem
    pytest.importorskip(PACKAGES.get(OTHERS[name], "numpy"))
    if name == "jax_map" and constants["workload"] != "sinusoid":
        pytest.skip("jax_vmap runs the same networks, and JAX compiles them for long")
    assert difference(values_of(OTHERS[name], name, constants, arrays), expected) <= TOLERANCE


@pytest.mark.parametrize("described", ["sinusoid", "miniimagenet_1shot"], indirect=True)
@pytest.mark.parametrize("name", ["map_fn_reference", "jax_vmap", "torch_vmap", "torch_loop_channels_last"])
def test_every_implementation_can_be_compared_in_float64(problem, values_of, name):
    """Where rounding decides too much in float32 (`benchmarks.agreement`)."""
    constants, arrays, _ = problem
    pytest.importorskip(PACKAGES.get(OTHERS[name], "numpy"))
    expected, found = (
        values_of(module, implementation, constants, in_float64(arrays))
        for module, implementation in (("ours", "ours"), (OTHERS[name], name))
    )
    assert {gradient.dtype for gradient in found} == {np.dtype("float64")}
    assert 0 < difference(found, expected) <= TOLERANCE_IN_FLOAT64


@pytest.mark.parametrize("described", ["sinusoid"], indirect=True)
def test_torchopt_gives_our_meta_gradient(problem, values_of):
    pytest.importorskip("torchopt")
    constants, arrays, expected = problem
    assert difference(values_of("peers_torch", "torchopt", constants, arrays), expected) <= TOLERANCE


@pytest.mark.parametrize("described", ["sinusoid", "miniimagenet_1shot"], indirect=True)
def test_another_meta_gradient_is_beyond_the_tolerance(problem, values_of):
    constants, arrays, expected = problem
    other = constants | {"first_order": not constants["first_order"]}
    assert difference(values_of("map_fn_reference", "map_fn_reference", other, arrays), expected) > 10 * TOLERANCE


@pytest.mark.parametrize("described", ["miniimagenet_1shot"], indirect=True)
@pytest.mark.parametrize("name", ["ours_one_task_at_a_time", "ours_gradient_checkpointing"])
def test_saving_memory_changes_rounding_only(problem, values_of, name):
    constants, arrays, expected = problem
    assert difference(values_of("ours", name, constants, arrays), expected) <= 1e-5


@pytest.mark.parametrize("described", ["sinusoid"], indirect=True)
def test_one_tensor_of_weights_gives_the_same_meta_gradient(problem, values_of):
    constants, arrays, expected = problem
    found = values_of("ours", "ours_one_tensor", constants, arrays)
    assert [part.shape for part in found] == [part.shape for part in expected]
    assert difference(found, expected) <= 1e-6


@pytest.mark.parametrize("described", ["omniglot_5way_1shot_nonconv"], indirect=True)
def test_materialising_adapted_kernels_changes_rounding_only(problem, values_of):
    """In float64 the two agree to 1e-11 (tests/ops/test_low_rank_updates.py)."""
    constants, arrays, expected = problem
    assert constants["low_rank_updates"]
    assert 0 < difference(values_of("ours", "ours_materialised", constants, arrays), expected) <= 1e-4


def test_bfloat16_is_as_far_from_float64_as_its_roundings(tmp_path, values_of):
    """As far from float64 as random roundings of the same size put float64 itself.

    At trained weights. At fresh weights and on small images rounding decides which units are active, and no bound
    below the distance of unrelated gradients (see problems.TRAINED) can be given.
    """
    workload = dataclasses.replace(WORKLOADS["omniglot_5way_1shot"], tasks=1)
    constants, arrays = write_problem(workload, tmp_path / "problem.npz")
    exact = values_of("ours", "ours", constants, in_float64(arrays))
    expected = []
    for seed in (1, 2):
        with convolutions_of_bfloat16(seed):
            expected.append(difference(values_of("ours", "ours", constants, in_float64(arrays)), exact))
    found = difference(values_of("ours", "ours_bfloat16", constants, arrays), exact)
    assert min(expected) / 2 < found < 2 * max(expected)
    assert max(expected) < 0.5


@pytest.mark.parametrize("described", ["sinusoid", "miniimagenet_1shot"], indirect=True)
def test_ours_in_float32_is_a_rounding_of_ours_in_float64(problem, values_of):
    constants, arrays, expected = problem
    exact = values_of("ours", "ours", constants, in_float64(arrays))
    assert {gradient.dtype for gradient in exact} == {np.dtype("float64")}
    assert 1e-9 < difference(expected, exact) <= TOLERANCE


def test_ours_and_the_reference_score_the_same_tasks_alike(tmp_path, monkeypatch, values_of):
    monkeypatch.setattr(problems, "EVALUATED_TASKS", 2)
    workload = dataclasses.replace(WORKLOADS["miniimagenet_evaluation"], image_side=17, steps=1)
    problem, arrays = write_problem(workload, tmp_path / "problem.npz")
    ours, reference = (values_of(name, name, problem, arrays)[0] for name in ("ours", "map_fn_reference"))
    assert ours.shape == (2, problem["steps"] + 1)
    np.testing.assert_allclose(ours, reference)


@pytest.mark.parametrize(
    ("module", "name"), [("ours", "ours"), ("map_fn_reference", "map_fn_reference"), ("peers_jax", "jax_vmap")]
)
def test_a_training_runs(tmp_path, module, name):
    pytest.importorskip("jax" if module == "peers_jax" else "numpy")
    workload = dataclasses.replace(WORKLOADS["sinusoid_training"], tasks=2)
    described = write_problem(workload, tmp_path / "problem.npz")
    importlib.import_module(f"benchmarks.implementations.{module}").prepare(name, *described).run(2)


def test_the_physics_alone_takes_as_many_steps_as_the_sampling(tmp_path):
    workload = dataclasses.replace(WORKLOADS["ant_sampling"], profile="smoke")
    described = write_problem(workload, tmp_path / "problem.npz")
    ours_rl = importlib.import_module("benchmarks.implementations.ours_rl")
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    steps = []
    for name in ("ours", "physics_only", "physics_with_profiler"):
        ready = ours_rl.prepare(name, *described)
        steps.append(ready.units(ready.run(2)))
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data)
        assert (data.timer.duration.sum() > 0) == (name == "physics_with_profiler")
    assert steps[0] == steps[1] == steps[2] > 0
