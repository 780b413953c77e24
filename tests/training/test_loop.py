"""The compiled loop: plain meta-iterations, however they are divided into calls."""

import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.learner import MetaStep
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.adam import Adam, TrainingState
from maml_tf.training.loop import compiled_loop

TASKS = SinusoidTasks(5, 5)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_the_loop_is_plain_steps_however_it_is_divided(jit_compile):
    keras.utils.set_random_seed(1)
    maml = MAML(MLP(1, (8,), 1), mean_squared_error, 0.01, 1)
    maml.task_execution = dataclasses.replace(maml.task_execution, jit_compile=jit_compile)
    start = TrainingState.start(maml.initial_params())
    loop = compiled_loop(maml, TASKS, Adam(0.001), batch_size=4, seed=(7, 0))
    at_once, _ = loop(start, tf.constant(6))
    in_parts = start
    for n in (1, 2, 3):
        in_parts, loss = loop(in_parts, tf.constant(n))
    for a, b in zip(at_once.params, in_parts.params, strict=True):
        np.testing.assert_array_equal(a, b)
    plain, losses = start, []
    for i in range(6):
        batch = TASKS.sample(tf.random.fold_in(tf.constant((7, 0)), i, alg="philox"), 4)
        value, gradients = maml.meta_gradient(plain.params, batch)
        plain = Adam(0.001).apply(plain, gradients)
        losses.append(float(value))
    for a, b in zip(at_once.params, plain.params, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert float(loss) == pytest.approx(np.mean(losses[3:]), rel=1e-4)


def test_the_clip_bounds_every_entry_of_the_meta_gradient():
    class Steep:
        task_execution = types.SimpleNamespace(jit_compile=True)

        def meta_step(self, params, batch, seed):
            return MetaStep(tf.constant(0.0), [tf.constant([-50.0, 0.5, 50.0])], [])

        def after_step(self, params, state):
            return params

    class Plain:
        def apply(self, state, gradients):
            return state._replace(iteration=state.iteration + 1, params=[state.params[0] - gradients[0]])

    start = TrainingState.start([tf.zeros(3)])
    loop = compiled_loop(Steep(), TASKS, Plain(), batch_size=1, seed=(0, 0), gradient_clip=10.0)
    np.testing.assert_array_equal(loop(start, tf.constant(1))[0].params[0], [10.0, -0.5, -10.0])
