"""TensorBoard scalars. TensorFlow does not bring TensorBoard, so nothing here needs it unless scalars are asked for."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.training.checkpoint import RunDirectory

WriteScalars = Callable[[Mapping[str, float], int], None]  # ({name: value}, step)


@contextlib.contextmanager
def scalar_writer(run_dir: RunDirectory | None, tensorboard: bool) -> Iterator[WriteScalars]:
    """A function that writes scalars for TensorBoard into a run directory, or nowhere.

    Args:
        run_dir: of the training.
        tensorboard: whether to write; it needs a `run_dir`.

    Yields:
        `write({name: value}, step)`.

    Raises:
        UsageError: scalars are asked for without a run directory, or TensorBoard is not installed.
    """
    if not tensorboard:
        yield lambda values, step: None
        return
    if run_dir is None:
        raise UsageError("run_dir: tensorboard needs a directory")
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError("tensorboard: the package is not installed: pip install tensorboard")

    def write(values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            tf.summary.scalar(name, value, step=step)

    with tf.summary.create_file_writer(str(run_dir.path)).as_default():
        yield write
