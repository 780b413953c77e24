"""How a model's tasks run best on the device at hand."""

import os
from typing import NamedTuple

import tensorflow as tf

from maml_tf.machine import available_cores

# Numbers in a model's largest kernel from which on adapted kernels are not written out (`factored.py`).
LARGE_KERNEL = 100 * 100


class Placement(NamedTuple):
    """How tasks are run.

    together: as one, with a task axis in front of every parameter.
    jit_compile: under XLA.
    by_factors: adapted kernels are not written out in training (`factored.py`).
    """

    together: bool
    jit_compile: bool
    by_factors: bool = False


def placement_for(model):
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
        return Placement(together=False, jit_compile=False)
    has_convolutions = any(
        variable.shape.rank == 4 for variable in map(tf.convert_to_tensor, model.trainable_variables)
    )
    if has_convolutions and not tf.config.list_physical_devices("GPU"):
        return Placement(together=False, jit_compile=False)
    return Placement(together=True, jit_compile=True, by_factors=takes_factors(model))


def takes_factors(model):
    """Whether a model can be adapted by factors, and has kernels for which that is worth it."""
    largest = max(variable.shape.num_elements() for variable in map(tf.convert_to_tensor, model.trainable_variables))
    return hasattr(model, "call_with_updates") and largest > LARGE_KERNEL


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
