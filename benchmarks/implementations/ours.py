"""Ours: the library as it runs."""

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.benchmark import Arrays, Benchmark, batch_of, repeated, versions_of, weights_of
from maml_tf.evaluation.stepwise import Evaluation
from maml_tf.meta.losses import accuracy, cross_entropy_over_shots, mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.runtime import configure_runtime
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.adam import Adam, TrainingState
from maml_tf.training.loop import compiled_loop

# Two ways to save memory, one task at a time and gradient checkpointing too; adapted kernels materialised where the
# library would use low-rank updates; weights and tasks each as one tensor; and convolutions in bfloat16.
OPTIONS = {
    "ours": {},
    "ours_one_task_at_a_time": {"task_chunk": 1},
    "ours_gradient_checkpointing": {"task_chunk": 1, "gradient_checkpointing": True},
    "ours_materialised": {"low_rank_updates": False},
    "ours_one_tensor": {},
    "ours_bfloat16": {},
}


class FixedTasks(TaskDistribution):
    """The tasks of a problem, for every seed."""

    def __init__(self, batch: TaskBatch) -> None:
        self.batch = batch

    def sample(self, seed: Any, num_tasks: int) -> TaskBatch:
        """The first tasks."""
        return self.batch.tasks(0, num_tasks)


def prepare(name: str, problem: dict[str, Any], arrays: Arrays) -> Benchmark:
    """See `benchmarks.implementations`."""
    configure_runtime()
    if name == "call":
        return _call(arrays)
    weights, batch = list(weights_of(problem, arrays).values()), TaskBatch(*map(tf.constant, batch_of(arrays)))
    model = _model(problem, "mixed_bfloat16" if name == "ours_bfloat16" else weights[0].dtype.name)
    learner = MAML(
        model,
        cross_entropy_over_shots(problem["shots"]) if "shots" in problem else mean_squared_error,
        problem["step_size"],
        problem["steps"],
        first_order=problem["first_order"],
        **OPTIONS[name],
    )
    params = [tf.constant(weight) for weight in weights]
    if problem["kind"] == "training":
        tasks = SinusoidTasks(problem["support"], problem["queries"])
        loop = compiled_loop(
            learner,
            tasks,
            Adam(problem["learning_rate"]),
            batch_size=problem["tasks"],
            seed=(1, 0),
        )
        return Benchmark(lambda n: loop(TrainingState.start(params), tf.constant(n))[1].numpy())
    if problem["kind"] == "evaluation":
        evaluation = Evaluation(
            learner,
            FixedTasks(batch),
            accuracy,
            num_steps=problem["steps"],
            eval_batch_size=problem["tasks"],
        )
        return Benchmark(
            repeated(lambda: evaluation(params, seed=(0, 0), num_tasks=problem["tasks"])), lambda scores: [scores]
        )
    if name == "ours_one_tensor":
        return _one_tensor(learner, params, batch)
    meta_gradient = tf.function(learner.meta_gradient, jit_compile=learner.task_execution.jit_compile, autograph=False)
    return Benchmark(
        repeated(lambda: meta_gradient(params, batch)[1]), lambda gradients: [np.asarray(g) for g in gradients]
    )


def _one_tensor(learner: MAML, params: list[tf.Tensor], batch: TaskBatch) -> Benchmark:
    """The meta-gradient with the fewest tensors that a call can have: one of weights, one of tasks, one result.

    The caller holds the concrete function, so that a call looks nothing up.
    """
    flat_params, flat_batch = _flat(params), _flat(batch)

    @tf.function(jit_compile=learner.task_execution.jit_compile, autograph=False)
    def meta_gradient(flat_params, flat_batch):
        return _flat(learner.meta_gradient(_parts(flat_params, params), TaskBatch(*_parts(flat_batch, batch)))[1])

    concrete = meta_gradient.get_concrete_function(flat_params, flat_batch)
    return Benchmark(
        repeated(lambda: concrete(flat_params, flat_batch)),
        lambda gradient: [np.asarray(part) for part in _parts(gradient, params)],
    )


def _call(arrays: Arrays) -> Benchmark:
    """A call that computes next to nothing, with one tensor of weights, one of tasks and one result."""
    flat_params = _flat([tf.constant(value) for key, value in arrays.items() if key.startswith("params/")])
    flat_batch = _flat([tf.constant(array) for array in batch_of(arrays)])
    add = tf.function(lambda params, batch: params + batch[0], jit_compile=True, autograph=False)
    concrete = add.get_concrete_function(flat_params, flat_batch)
    return Benchmark(repeated(lambda: concrete(flat_params, flat_batch)))


def _flat(tensors: Iterable[tf.Tensor]) -> tf.Tensor:
    """All values of some tensors, one after the other: [n]."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def _parts(flat: tf.Tensor, like: Iterable[tf.Tensor]) -> list[tf.Tensor]:
    """The tensors that `_flat` laid one after the other, in the shapes of `like`."""
    shapes = [tensor.shape for tensor in like]
    parts = tf.split(flat, [shape.num_elements() for shape in shapes])
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    return versions_of("tensorflow", "keras", "numpy")


def _model(problem: dict[str, Any], dtype: str) -> keras.Model:
    if problem["network"] == "mlp":
        inputs = math.prod(problem["input_shape"])
        return MLP(inputs, problem["hidden"], problem["outputs"], problem["batch_norm"], dtype)
    network = {"omniglot_conv": OmniglotConv, "mini_imagenet_conv": MiniImagenetConv}[problem["network"]]
    return network(problem["input_shape"], problem["outputs"], problem["filters"], dtype)
