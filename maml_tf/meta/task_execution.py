"""How a model's tasks run best on the device at hand."""

from typing import NamedTuple

import tensorflow as tf

# Numbers in a model's largest kernel from which on adapted kernels are not written out (`ops/low_rank_updates.py`).
LARGE_KERNEL = 100 * 100


class TaskExecution(NamedTuple):
    """How tasks are run.

    together: as one, with a task axis in front of every parameter.
    jit_compile: under XLA.
    low_rank_updates: adapted kernels are not written out in training (`ops/low_rank_updates.py`).
    """

    together: bool
    jit_compile: bool
    low_rank_updates: bool = False


def task_execution_for(model):
    """The fastest way to run `model` on many tasks.

    Matrix products with a task axis under XLA, wherever the model's layers know the axis: one meta-iteration of the
    sinusoid takes 0.23 ms so, sampling and Adam included, where a `tf.map_fn` over its 25 tasks takes over 3 ms.
    Convolutions on a CPU are the exception: each task by itself through oneDNN's kernels, several times faster than
    what XLA makes of them there.

    Large kernels of dense layers are kept as theta and the factors of its updates: Omniglot's fully connected network
    takes 0.22 of the time so with one shot, 0.44 with five. Small ones are written out: by factors the
    sinusoid's meta-iteration takes 1.3 to 1.4 times as long.
    """
    if not getattr(model, "takes_task_axis", False):
        return TaskExecution(together=False, jit_compile=False)
    has_convolutions = any(
        variable.shape.rank == 4 for variable in map(tf.convert_to_tensor, model.trainable_variables)
    )
    if has_convolutions and not tf.config.list_physical_devices("GPU"):
        return TaskExecution(together=False, jit_compile=False)
    return TaskExecution(together=True, jit_compile=True, low_rank_updates=prefers_low_rank_updates(model))


def prefers_low_rank_updates(model):
    """Whether a model can be adapted by factors, and has kernels for which that is worth it."""
    largest = max(variable.shape.num_elements() for variable in map(tf.convert_to_tensor, model.trainable_variables))
    return hasattr(model, "call_with_updates") and largest > LARGE_KERNEL
