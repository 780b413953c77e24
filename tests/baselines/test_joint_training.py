"""Training on all tasks at once, without adaptation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.task_execution import TaskExecution
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks


def test_joint_training_is_the_gradient_of_the_mean_support_error():
    keras.utils.set_random_seed(0)
    model = MLP(1, (6,), 1)
    batch = SinusoidTasks(5, 5).sample(tf.constant([1, 2]), 4)
    params = [tf.convert_to_tensor(v) + 0.1 for v in model.trainable_variables]
    loss, gradients = JointTraining(model, mean_squared_error).meta_gradient(params, batch)
    with tf.GradientTape() as tape:
        tape.watch(params)
        flat = tf.reshape(batch.support_x, [-1, 1]), tf.reshape(batch.support_y, [-1, 1])
        expected = mean_squared_error(flat[1], functional_call(model, params, flat[0]))
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for ours, theirs in zip(gradients, tape.gradient(expected, params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_theta_is_the_models_weights():
    model = MLP(1, (6,), 1)
    learner = JointTraining(model, mean_squared_error)
    assert learner.param_names == ["dense_1/kernel", "dense_1/bias", "output/kernel", "output/bias"]
    for found, variable in zip(learner.initial_params(), model.trainable_variables, strict=True):
        np.testing.assert_array_equal(found, variable)
    assert learner.task_execution == TaskExecution.choose(model)
