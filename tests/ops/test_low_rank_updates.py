"""Adapting with low-rank updates equals adapting with materialised kernels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.adaptable import only_context
from maml_tf.meta.losses import cross_entropy_over_shots
from maml_tf.meta.maml import MAML
from maml_tf.meta.task_execution import vectorized_copy
from maml_tf.models.context_vector import WithContext
from maml_tf.models.conv import OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch

T, WAYS, SHOTS, QUERIES, SIDE = 3, 5, 2, 3, 6
LOSS = cross_entropy_over_shots(SHOTS)


def network(side=SIDE, dtype="float64"):
    """Omniglot's fully connected network, with batch norm, for images of side x side pixels."""
    return MLP(side * side, (20, 12), WAYS, batch_norm=True, dtype=dtype)


@pytest.fixture(scope="module")
def problem():
    """Weights of ordinary size, offsets of the norms too, and tasks of images that differ from each other."""
    rng = np.random.default_rng(0)
    params = [tf.constant(rng.normal(size=v.shape) / np.sqrt(v.shape[0])) for v in network().trainable_variables]

    def images_and_labels(per_class):
        labels = np.tile(np.repeat(np.arange(WAYS, dtype=np.int32), per_class), (T, 1))
        return tf.constant(rng.random((T, WAYS * per_class, SIDE, SIDE, 1))), tf.constant(labels)

    return params, TaskBatch(*images_and_labels(SHOTS), *images_and_labels(QUERIES))


@pytest.mark.parametrize(
    ("num_steps", "first_order", "jit_compile"),
    [*itertools.product([0, 1, 3], [False, True], [False]), (2, False, True)],
)
def test_loss_and_meta_gradient_with_batch_norm(problem, num_steps, first_order, jit_compile):
    params, batch = problem

    def of(low_rank_updates, jit_compile=False):
        learner = MAML(
            network(), LOSS, 0.4, num_steps, first_order=first_order, vectorized=True, low_rank_updates=low_rank_updates
        )
        meta_gradient = learner.meta_gradient
        if jit_compile:
            meta_gradient = tf.function(meta_gradient, jit_compile=True, autograph=False)
        loss, gradients = meta_gradient(params, batch)
        return np.concatenate([[loss], *(np.ravel(g) for g in gradients)])

    found, expected = of(low_rank_updates=True, jit_compile=jit_compile), of(low_rank_updates=False)
    assert np.abs(found - expected).max() <= 1e-11 * np.abs(expected).max()
    if num_steps == 1 and not first_order:  # first and second order differ, so the comparison above can fail
        first = MAML(network(), LOSS, 0.4, 1, first_order=True, vectorized=True, low_rank_updates=True)
        gradients = first.meta_gradient(params, batch)[1]
        assert np.abs(np.concatenate([np.ravel(g) for g in gradients]) - found[1:]).max() > 1e-3


def test_when_low_rank_updates_are_chosen():
    large, small = network(side=28, dtype="float32"), network(dtype="float32")
    assert MAML(large, LOSS, 0.4, 1).task_execution.low_rank_updates
    assert vectorized_copy(MAML(large, LOSS, 0.4, 1)).task_execution.low_rank_updates  # in exported loops too
    for learner in (
        MAML(small, LOSS, 0.4, 1),
        MAML(large, LOSS, 0.4, 1, low_rank_updates=False),
        MAML(large, LOSS, 0.4, 1, vectorized=False),
        MAML(large, LOSS, 0.4, 1, gradient_checkpointing=True),
        MAML(large, LOSS, 0.4, 1, adaptable=lambda variable: True),
        MAML(WithContext(MLP(784 + 3, (20, 12), WAYS), (784,), 3), LOSS, 0.4, 1, adaptable=only_context),
        MAML(OmniglotConv((28, 28, 1), WAYS), LOSS, 0.4, 1),
    ):
        assert not learner.task_execution.low_rank_updates


@pytest.mark.parametrize(
    "conflict",
    [{"vectorized": False}, {"gradient_checkpointing": True}, {"adaptable": lambda variable: variable.name == "bias"}],
)
def test_low_rank_updates_are_refused_where_they_are_impossible(conflict):
    with pytest.raises(ValueError, match="low_rank_updates needs vectorized tasks"):
        MAML(network(), LOSS, 0.4, 1, low_rank_updates=True, **conflict)
