"""How tasks are executed: what is chosen for which model, and the mapping over tasks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.meta.task_execution import TaskExecution, vectorized_copy
from maml_tf.models.conv import OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.tasks.base import TaskBatch

GPU = bool(tf.config.list_physical_devices("GPU"))


def keras_model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


@pytest.mark.parametrize(
    ("build", "vectorized", "low_rank_updates"),
    [
        (keras_model, False, False),
        (lambda: MLP(1, (4,), 1), True, False),
        (lambda: MLP(784, (16,), 5), True, True),
        (lambda: OmniglotConv((28, 28, 1), 5, filters=2), GPU, False),
    ],
    ids=["any Keras model", "small dense kernels", "large dense kernels", "convolutions"],
)
def test_what_is_chosen_for_a_model(build, vectorized, low_rank_updates):
    chosen = TaskExecution.choose(build())
    assert chosen == TaskExecution(vectorized, jit_compile=vectorized, low_rank_updates=low_rank_updates)


def test_a_users_choice_is_kept_and_decides_what_is_compiled():
    model = MLP(784, (16,), 5)
    assert TaskExecution.choose(model, vectorized=False) == TaskExecution(vectorized=False, jit_compile=False)
    assert not TaskExecution.choose(model, low_rank_updates=False).low_rank_updates
    assert TaskExecution.choose(MLP(1, (4,), 1), low_rank_updates=True).low_rank_updates
    assert TaskExecution.choose(model, task_chunk=3).task_chunk == 3


def test_impossible_choices_are_refused():
    with pytest.raises(ValueError, match="low_rank_updates needs vectorized tasks, a model with `call_with_updates`"):
        TaskExecution.choose(keras_model(), low_rank_updates=True)
    with pytest.raises(ValueError, match="low_rank_updates needs vectorized tasks"):
        TaskExecution.choose(MLP(1, (4,), 1), vectorized=False, low_rank_updates=True)
    with pytest.raises(ValueError, match="task_chunk is 0; expected a whole number from 1"):
        TaskExecution.choose(keras_model(), task_chunk=0)


def test_a_vectorized_copy_leaves_the_learner_as_it_is():
    learner = MAML(keras_model(), mean_squared_error, 0.1, 1)
    copy = vectorized_copy(learner)
    assert copy.task_execution == TaskExecution(vectorized=True, jit_compile=True)
    assert learner.task_execution == TaskExecution(vectorized=False, jit_compile=False)
    assert copy.model is learner.model


@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.parametrize("vectorized", [True, False])
def test_a_function_is_mapped_over_the_tasks(vectorized, unroll):
    batch = TaskBatch(*(tf.reshape(tf.range(6.0) + 10 * i, [3, 2, 1]) for i in range(4)))

    def function(params, support_x, support_y, query_x, query_y):
        return tf.reduce_sum(params[0] * (support_x + 2 * support_y + 3 * query_x + 4 * query_y)[..., 0], axis=-1)

    execution = TaskExecution(vectorized, jit_compile=False)
    found = execution.map(function, [tf.constant([1.0, -1.0])], batch, unroll=unroll)
    np.testing.assert_allclose(found, [-10.0] * 3)  # each task's two points differ by 1 in every tensor


def test_one_task_is_traced_for_all_and_called_without_being_inlined():
    """Tracing is most of the time to the first meta-step. Inlined, 16 tasks of a Keras network became a cycle."""
    traced = []

    def counting_loss(labels, predictions):
        traced.append(predictions)
        return mean_squared_error(labels, predictions)

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, "tanh"), keras.layers.Dense(1)])
    learner = MAML(model, counting_loss, 0.1, 2)
    values = tf.reshape(tf.range(30, dtype=tf.float32), [5, 6, 1]) / 30
    batch = TaskBatch(values, values**2, values, values**2)
    compiled = tf.function(learner.meta_gradient, autograph=False)
    compiled = compiled.get_concrete_function(learner.initial_params(), batch)
    assert len(traced) == 3  # two inner steps and the query set, once
    calls = [op for op in compiled.graph.get_operations() if op.type.endswith("PartitionedCall")]
    assert len(calls) == 5
    functions = {function.signature.name: function for function in compiled.graph.as_graph_def().library.function}
    assert all(functions[op.get_attr("f").name].attr["_noinline"].b for op in calls)
