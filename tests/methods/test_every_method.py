"""What holds for every method: a stopped training goes on to the same bits, and the exported loop gives its numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import operation_by_operation

import maml_tf as mt
from maml_tf.experiments.spec import MetaSpec
from maml_tf.meta.task_execution import vectorized_copy
from maml_tf.methods import MAMLPlusPlus, MetaSGD, Reptile
from maml_tf.training.loop import compiled_loop
from maml_tf.training.optimizer import default_optimizer
from maml_tf.training.schedules import rate_of

TASKS = mt.tasks.SinusoidTasks(3, 3)
ANNEALED = MetaSpec(iterations=4, batch_size=2, learning_rate=0.1, schedule="cosine", final_learning_rate=0.01)


def model():
    return mt.models.MLP(1, (3,), 1, batch_norm=True)


METHODS = {
    "Meta-SGD": lambda **form: mt.MAML(model(), "mse", 0.1, 1, inner_update=MetaSGD(), **form),
    "MAML++": lambda **form: MAMLPlusPlus(
        model(),
        "mse",
        0.1,
        2,
        multi_step_loss=3,
        first_order_iterations=2,
        step_sizes=True,
        norm_weights=True,
        norm_statistics=True,
        **form,
    ),
    "Reptile": lambda **form: Reptile(model(), "mse", 0.1, 2, mini_batch=4, **form),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_training_in_parts_and_under_jax_equals_a_whole_one(name, tmp_path, jax_compiles_fast):
    pytest.importorskip("jax")
    from maml_tf.export.jax_runner.main import main
    from maml_tf.export.writer import export_training_loop

    keras.utils.set_random_seed(0)
    learner = vectorized_copy(METHODS[name]())
    about = {"spec": "synthetic", "profile": "smoke", "spec_hash": "0123456789", "git_commit": "none"}
    states = {1: learner.initial_params()}
    export_training_loop(learner, TASKS, ANNEALED, states, folder=tmp_path / "package", snapshot_every=4, about=about)
    assert main([str(tmp_path / "package" / "synthetic"), "--out", str(tmp_path / "out")]) == 0
    optimizer = default_optimizer(rate_of(ANNEALED), learner.interpolates)
    start = in_parts = optimizer.start(learner.initial_params())
    with operation_by_operation():  # one task after the other; what was exported is vectorised and compiled with XLA
        one_by_one = METHODS[name](vectorized=False)
        loop = compiled_loop(one_by_one, TASKS, optimizer, batch_size=ANNEALED.batch_size, seed=(1, 0))
        whole, loss = loop(start, tf.constant(4))
        for count in (1, 3):
            in_parts, _ = loop(in_parts, tf.constant(count))
    for one, other in zip(tf.nest.flatten(whole), tf.nest.flatten(in_parts), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(float(loss))
    with np.load(tmp_path / "out" / "synthetic" / "seed_1" / "state.npz") as state:
        for param_name, ours in zip(learner.param_names, whole.params, strict=True):
            # A bias before batch norm has a gradient of rounding noise, and the mean of its batches moves with it.
            if param_name not in ("dense_1/bias", "norm_1/running_mean"):
                np.testing.assert_allclose(state[f"params/{param_name}"], ours, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_held_out_tasks_are_adapted_to(name, eagerly):
    learner = METHODS[name](vectorized=False)
    scores = mt.evaluate(learner, TASKS, num_tasks=4, num_steps=3)
    assert scores.query.shape == (4, 4)
    assert np.isfinite(scores.query).all()
    assert np.abs(np.diff(scores.query)).max() > 0
