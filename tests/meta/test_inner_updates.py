"""Inner updates: gradient descent, and one that adds parameters to theta (Meta-SGD)."""

import numpy as np
import pytest
import tensorflow as tf
from reference import numpy_maml

from maml_tf.errors import UsageError
from maml_tf.meta.inner_loop import adapt
from maml_tf.meta.inner_updates import INNER_UPDATES, GradientDescent, InnerUpdate
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.methods import MetaSGD
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch

STEP_SIZE = 0.05


class HalvedEachStep(InnerUpdate):
    """Gradient descent whose step size halves from step to step."""

    def __call__(self, weights, gradients, own, step_size, step):
        return [w - step_size * 0.5**step * g for w, g in zip(weights, gradients, strict=True)]


@pytest.fixture(scope="module")
def problem():
    """A small float64 network with weights of ordinary size, and three tasks."""
    rng = np.random.default_rng(0)
    model = MLP(2, (4,), 1, dtype="float64")
    weights = [rng.normal(size=tuple(v.shape)) for v in model.trainable_variables]
    tasks = [tuple(rng.normal(size=(n, d)) for n, d in ((6, 2), (6, 1), (5, 2), (5, 1))) for _ in range(3)]
    batch = TaskBatch(*(tf.constant(np.stack(arrays)) for arrays in zip(*tasks, strict=True)))
    return model, weights, tasks, batch


def test_an_inner_update_is_found_by_its_name():
    assert INNER_UPDATES["gradient_descent"] is GradientDescent
    with pytest.raises(UsageError, match="inner update 'newton' is not known; allowed are gradient_descent"):
        INNER_UPDATES["newton"]


def test_gradient_descent_adds_no_parameters(problem):
    model, *_ = problem
    assert GradientDescent().initial_params({"a": tf.ones(2)}, 0.1) == {}
    assert MAML(model, mean_squared_error, STEP_SIZE, 1).param_names == [
        "dense_1/kernel",
        "dense_1/bias",
        "output/kernel",
        "output/bias",
    ]


def test_added_parameters_follow_the_weights_in_theta(problem):
    model, *_ = problem
    learner = MAML(
        model, mean_squared_error, 0.3, 1, inner_update=MetaSGD(), adaptable=lambda variable: variable.name == "bias"
    )
    assert learner.param_names[4:] == ["dense_1/bias/step_size", "output/bias/step_size"]
    theta = learner.initial_params()
    assert len(theta) == 6
    np.testing.assert_array_equal(theta[4], np.full(4, 0.3))


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("options", [{}, {"gradient_checkpointing": True}, {"task_chunk": 2}], ids=str)
def test_meta_gradient_of_weights_and_learned_step_sizes(problem, vectorized, options):
    """With equal step sizes the weights' meta-gradient is MAML's; the step sizes' is checked by finite differences."""
    model, weights, tasks, batch = problem
    learner = MAML(model, mean_squared_error, STEP_SIZE, 2, inner_update=MetaSGD(), vectorized=vectorized, **options)
    assert not learner.task_execution.low_rank_updates
    theta = [*map(tf.constant, weights), *learner.initial_params()[4:]]
    loss, gradients = learner.meta_gradient(theta, batch)
    assert float(loss) == pytest.approx(numpy_maml.meta_loss(weights, tasks, STEP_SIZE, 2), rel=1e-12)
    expected = numpy_maml.meta_gradient(weights, tasks, STEP_SIZE, 2)
    for found, reference in zip(gradients[:4], expected, strict=True):
        np.testing.assert_allclose(found, reference, rtol=1e-9, atol=1e-12)

    # All step sizes are moved at once: the losses differ by the sum of their derivatives.
    change = 1e-6
    higher, lower = (numpy_maml.meta_loss(weights, tasks, STEP_SIZE + sign * change, 2) for sign in (1, -1))
    along_all = sum(float(tf.reduce_sum(g)) for g in gradients[4:])
    assert along_all == pytest.approx((higher - lower) / (2 * change), rel=1e-6)


def test_first_order_leaves_the_step_sizes_their_gradient(problem):
    model, weights, _, batch = problem
    learner = MAML(model, mean_squared_error, STEP_SIZE, 1, inner_update=MetaSGD(), first_order=True)
    theta = [*map(tf.constant, weights), *learner.initial_params()[4:]]
    _, gradients = learner.meta_gradient(theta, batch)
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_an_inner_update_is_told_the_number_of_the_step():
    theta = adapt(
        lambda weights, _: tf.reduce_sum(weights[0]), [tf.zeros(1)], None, 0.4, 3, inner_update=HalvedEachStep()
    )
    np.testing.assert_allclose([after[0][0] for after in theta], [0.0, -0.4, -0.6, -0.7], rtol=1e-6)
