"""The process's threads, floating-point precision on GPUs, and cores."""

import os


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure_runtime(cores: int | None = None) -> None:
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
    import tensorflow as tf

    os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false")  # read when the first convolution runs
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(cores or available_cores())
    tf.config.experimental.enable_tensor_float_32_execution(False)
