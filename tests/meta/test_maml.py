"""MAML's meta-gradient against a hand-written reference and finite differences, and what the inner loop adapts."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import finite_differences, largest_difference
from reference import numpy_maml

from maml_tf.meta.functional import functional_call
from maml_tf.meta.losses import cross_entropy_over_shots, mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.conv import OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch

STEP_SIZE = 0.05
FORMS = {
    "vectorized": {"vectorized": True},
    "one by one": {"vectorized": False},
    "vectorized in chunks": {"vectorized": True, "task_chunk": 2},
    "one by one, chunks of 1": {"vectorized": False, "task_chunk": 1},
    "one by one, chunks of 2": {"vectorized": False, "task_chunk": 2},
    "vectorized, gradient checkpointing": {"vectorized": True, "gradient_checkpointing": True},
    "one by one, gradient checkpointing": {"vectorized": False, "gradient_checkpointing": True},
    "low-rank updates": {"vectorized": True, "low_rank_updates": True},
    "low-rank updates in chunks": {"vectorized": True, "low_rank_updates": True, "task_chunk": 2},
}


@pytest.fixture(scope="module")
def problem():
    """A small float64 network with weights of ordinary size, four tasks of 6 support and 5 query points, results."""
    rng = np.random.default_rng(0)
    model = MLP(2, (7, 6), 1, dtype="float64")
    params = [rng.normal(size=tuple(v.shape)) / 1.5 for v in model.trainable_variables]
    tasks = [tuple(rng.normal(size=(n, d)) for n, d in ((6, 2), (6, 1), (5, 2), (5, 1))) for _ in range(4)]
    batch = TaskBatch(*(tf.constant(np.stack(arrays)) for arrays in zip(*tasks, strict=True)))
    return model, params, tasks, batch, {}


def ours(problem, num_steps, first_order=False, jit_compile=False, **form):
    """(loss, meta-gradient), computed once for each setting."""
    model, params, _, batch, results = problem
    key = (num_steps, first_order, jit_compile, *sorted(form.items()))
    if key in results:
        return results[key]
    learner = MAML(model, mean_squared_error, STEP_SIZE, num_steps, first_order=first_order, **form)
    meta_gradient = learner.meta_gradient
    # Otherwise operation by operation, which is sooner done than traced.
    if jit_compile or (num_steps == 1 and not (first_order and len(form) > 1)):
        meta_gradient = tf.function(meta_gradient, jit_compile=jit_compile, autograph=False)
    loss, gradients = meta_gradient([tf.constant(p) for p in params], batch)
    assert all(g is not None for g in gradients)
    results[key] = loss.numpy(), [g.numpy() for g in gradients]
    return results[key]


@pytest.mark.parametrize("num_steps", [1, 3])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_equals_the_numpy_reference(problem, num_steps, first_order, form):
    _, params, tasks, *_ = problem
    loss, gradients = ours(problem, num_steps, first_order, **FORMS[form])
    assert loss == pytest.approx(numpy_maml.meta_loss(params, tasks, STEP_SIZE, num_steps), rel=1e-12)
    expected = numpy_maml.meta_gradient(params, tasks, STEP_SIZE, num_steps, first_order)
    assert largest_difference(gradients, expected) <= 1e-12


@pytest.mark.parametrize("num_steps", [1, 2])
def test_the_compiled_form_equals_the_numpy_reference(problem, num_steps):
    _, params, tasks, *_ = problem
    _, gradients = ours(problem, num_steps, jit_compile=True, vectorized=True)
    assert largest_difference(gradients, numpy_maml.meta_gradient(params, tasks, STEP_SIZE, num_steps)) <= 1e-12


@pytest.mark.parametrize("num_steps", [1, 5])
def test_second_order_equals_finite_differences(problem, num_steps):
    _, params, tasks, *_ = problem
    _, gradients = ours(problem, num_steps, vectorized=True)
    expected = finite_differences(lambda p: numpy_maml.meta_loss(p, tasks, STEP_SIZE, num_steps), params)
    assert largest_difference(gradients, expected) <= 1e-7


@pytest.mark.parametrize("num_steps", [1, 5])
def test_first_order_is_another_gradient(problem, num_steps):
    _, second = ours(problem, num_steps, vectorized=True)
    _, first = ours(problem, num_steps, first_order=True, vectorized=True)
    assert largest_difference(first, second) > 0.02


@pytest.mark.parametrize("task_chunk", [1, 2])
@pytest.mark.parametrize("vectorized", [True, False])
def test_no_more_than_a_chunk_of_tasks_is_differentiated_at_a_time(task_chunk, vectorized):
    """The loss records the tasks (their first label) that it is called with, forwards and backwards."""
    T, events = 6, []

    def note(labels):
        events.extend(labels.reshape(-1, 4)[:, 0].astype(int).tolist())
        return np.zeros((), np.float32)

    def noting_loss(labels, predictions):
        @tf.custom_gradient
        def noted(x):
            def gradient(upstream):
                return upstream + tf.numpy_function(note, [labels], tf.float32, stateful=False)

            return x + tf.numpy_function(note, [labels], tf.float32, stateful=False), gradient

        return mean_squared_error(labels, noted(predictions))

    labels = tf.reshape(tf.repeat(tf.range(T, dtype=tf.float32), 4), [T, 4, 1])
    batch = TaskBatch(labels, labels, labels, labels)
    learner = MAML(
        MLP(1, (3,), 1), noting_loss, STEP_SIZE, 1, first_order=True, vectorized=vectorized, task_chunk=task_chunk
    )
    tf.function(learner.meta_gradient, autograph=False)(learner.initial_params(), batch)
    assert len(events) == 4 * T  # inner and outer loss, forwards and backwards
    spans = [(events.index(task), len(events) - events[::-1].index(task)) for task in range(T)]
    assert max(sum(first <= now < end for first, end in spans) for now in range(len(events))) <= task_chunk


def test_adaptation_leaves_the_batch_norm_offset_and_meta_training_does_not():
    model = OmniglotConv((28, 28, 1), 5, filters=8)
    learner = MAML(model, cross_entropy_over_shots(1), 0.4, 2, vectorized=False)
    rng = np.random.default_rng(0)
    x, y = tf.constant(rng.uniform(size=(5, 28, 28, 1)), tf.float32), tf.range(5)
    theta = learner.initial_params()
    with tf.GradientTape() as tape:
        tape.watch(theta)
        after = learner.adapted_params(theta, x, y)[-1]
        loss = learner.loss(y, functional_call(model, after, x[::-1]))
    gradients = tape.gradient(loss, theta)
    for variable, before, adapted, gradient in zip(model.trainable_variables, theta, after, gradients, strict=True):
        assert gradient is not None
        if variable.name == "beta":
            assert adapted is before
            assert np.abs(gradient).max() > 0
        elif variable.name == "kernel":
            assert not np.allclose(adapted, before)
