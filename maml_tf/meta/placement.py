"""How a model's tasks run best on the device at hand."""

import os
from typing import NamedTuple

import tensorflow as tf

from maml_tf.machine import available_cores


class Placement(NamedTuple):
    """together: tasks as one, with a task axis in front of every parameter; jit_compile: under XLA."""

    together: bool
    jit_compile: bool


def placement_for(model):
    """The fastest way to run `model` on many tasks.

    Matrix products with a task axis under XLA, wherever the model's layers know the axis: one meta-iteration of the
    sinusoid takes 0.23 ms so, sampling and Adam included, where a `tf.map_fn` over its 25 tasks takes over 3 ms.
    Convolutions on a CPU are the exception: each task by itself through oneDNN's kernels, several times faster than
    what XLA makes of them there.
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

    On a GPU float32 products are asked for in full, too, until a spec says otherwise (`model.precision`): by default
    TensorFlow rounds their factors to ten bits there (TensorFloat-32).

    On two cores an Omniglot meta-gradient (5-way 1-shot, 32 tasks) takes 0.084 s so, with TensorFlow's own choice of
    threads 0.22 s.

    Convolutions keep what oneDNN has prepared for them. To save memory TensorFlow has it prepare the gradient with
    respect to a kernel anew in every call, 0.07 ms: half of what it takes on five Omniglot images. Kept, an Omniglot
    meta-iteration is 15 % shorter, with the same bits and 1 % more memory.

    Args:
        cores: threads that run operations; all the process may use by default.
    """
    os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false")  # read when the first convolution runs
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(cores or available_cores())
    tf.config.experimental.enable_tensor_float_32_execution(False)
