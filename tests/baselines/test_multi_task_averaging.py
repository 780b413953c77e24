"""Regressors that are trained at once, each on its own task."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.baselines.multi_task_averaging import SideBySideRegressors
from maml_tf.experiments.sinusoid_spec import MultiTaskSpec
from maml_tf.meta.functional import functional_call
from maml_tf.models.mlp import MLP

pytestmark = pytest.mark.usefixtures("plain_graphs")
SPEC = MultiTaskSpec(
    regulariser="none",
    regressors=3,
    threshold=0.02,
    strengths=(0.0,),
    batch_size=50,
    learning_rate=0.003,
    max_steps=3000,
)


@pytest.fixture(scope="module")
def regressors():
    return SideBySideRegressors(MLP(1, (40, 40), 1), SPEC)


def fresh(model, count, seed):
    return [
        tf.random.stateless_truncated_normal([count, *v.shape], [seed, i], stddev=0.1 if len(v.shape) == 2 else 0.0)
        for i, v in enumerate(model.trainable_variables)
    ]


def train(regressors, params, centre=None, strength=0.0):
    centre = [tf.zeros_like(p) for p in params] if centre is None else centre  # of one shape: compiled once
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
