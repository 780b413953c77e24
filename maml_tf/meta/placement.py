"""How a model's tasks run best on the device at hand (the measurements behind it: DESIGN.md, Speed)."""

import os
from typing import NamedTuple

import tensorflow as tf


class Placement(NamedTuple):
    """together: tasks as one, with a task axis in front of every parameter; jit_compile: under XLA."""

    together: bool
    jit_compile: bool


def placement_for(model):
    """The fastest way to run `model` on many tasks.

    Matrix products with a task axis under XLA, wherever the model's layers know the axis; convolutions on a CPU are the
    exception: one task by itself through oneDNN's kernels is several times faster than anything XLA makes there.
    """
    if not getattr(model, "takes_task_axis", False):
        return Placement(together=False, jit_compile=False)
    has_convolutions = any(
        variable.shape.rank == 4 for variable in map(tf.convert_to_tensor, model.trainable_variables)
    )
    if has_convolutions and not tf.config.list_physical_devices("GPU"):
        return Placement(together=False, jit_compile=False)
    return Placement(together=True, jit_compile=True)


def use_cores_for_tasks(cores=None):
    """One thread inside an operation, one operation a core: tasks in parallel. Call before TensorFlow does anything.

    With TensorFlow's own choice of threads a meta-step of Omniglot takes more than three times as long on two cores.

    Args:
        cores: threads that run operations; all the process may use by default.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(cores or len(os.sched_getaffinity(0)))
