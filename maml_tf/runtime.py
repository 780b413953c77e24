"""The process's threads, floating-point precision on GPUs, and cores."""

import os


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure_runtime(cores: int | None = None) -> None:
    """Gives each operation one thread and runs one operation per core. Call it before TensorFlow does anything.

    The tasks of a meta-batch then run in parallel, which is faster than TensorFlow's own choice of threads
    (`make bench`).

    On a GPU, float32 products keep full precision until a spec asks for less (`model.precision`). TensorFlow's default
    rounds their factors to ten bits there (TensorFloat-32).

    Convolutions keep the primitives that oneDNN has prepared. By default TensorFlow saves memory and lets oneDNN
    prepare the gradient with respect to a kernel in every call, which takes long for small images. The results have
    the same bits.

    Args:
        cores: threads that run operations; all the process may use by default.
    """
    import tensorflow as tf

    os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false")  # read when the first convolution runs
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(cores or available_cores())
    tf.config.experimental.enable_tensor_float_32_execution(False)
