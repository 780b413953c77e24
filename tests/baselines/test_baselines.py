"""Pretraining without adaptation, and regressors trained side by side."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.baselines.multi_task_averaging import SideBySideRegressors
from maml_tf.experiments.sinusoid_spec import MultiTaskSpec
from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import mean_squared_error
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks

SPEC = MultiTaskSpec(
    "none", regressors=3, threshold=0.02, strengths=(0.0,), batch_size=50, learning_rate=0.003, max_steps=3000
)


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


@pytest.fixture(scope="module")
def regressors():
    return SideBySideRegressors(MLP(1, (40, 40), 1), SPEC)


def fresh(model, count, seed):
    return [
        tf.random.stateless_truncated_normal([count, *v.shape], [seed, i], stddev=0.1 if len(v.shape) == 2 else 0.0)
        for i, v in enumerate(model.trainable_variables)
    ]


def train(regressors, params, centre=None, strength=0.0):
    centre = [tf.zeros([1])] * len(params) if centre is None else centre
    amplitude, phase = tf.constant([1.0, 2.0, 0.5]), tf.constant([0.0, 1.0, 2.0])
    return regressors.train(params, amplitude, phase, centre, tf.constant(strength), tf.constant([1, 2]))


def test_every_regressor_fits_its_own_task_and_stops_by_itself(regressors):
    trained = train(regressors, fresh(regressors.model, 3, 0))
    assert (trained.errors.numpy() < SPEC.threshold).all()
    assert len(set(trained.steps.numpy())) > 1
    x = np.linspace(-5, 5, 200, dtype=np.float32)[:, None]
    for index, (amplitude, phase) in enumerate(((1.0, 0.0), (2.0, 1.0), (0.5, 2.0))):
        fitted = functional_call(regressors.model, [p[index] for p in trained.params], x)
        assert np.mean((fitted - amplitude * np.sin(x - phase)) ** 2) < 1.5 * SPEC.threshold
    again = train(regressors, trained.params)
    assert not again.steps.numpy().any()
    for before, after in zip(trained.params, again.params, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_regulariser_pulls_toward_its_centre(regressors):
    start = fresh(regressors.model, 3, 0)
    centre = [tf.ones_like(p) * 0.2 for p in start]

    def distance(trained):
        return sum(float(tf.reduce_sum(tf.square(p - c))) for p, c in zip(trained.params, centre, strict=True))

    free, pulled = train(regressors, start, centre, 0.0), train(regressors, start, centre, 0.01)
    assert distance(pulled) < 0.5 * distance(free)
