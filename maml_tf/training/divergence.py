"""A training that is no longer finite: found at once, told in full, with the tasks that did it kept for a replay."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ, atomic_write, open_npz
from maml_tf.errors import UsageError
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import RunDirectory

DIVERGED = "diverged.npz"
ADVICE = (
    "Try a smaller learning rate, a smaller inner step size or a gradient clip, and check the data for values that are "
    "not finite"
)


def is_finite(tensors: Any) -> bool:
    """Whether every floating-point number in a structure of tensors or arrays is finite."""
    arrays = (np.asarray(tensor) for tensor in tf.nest.flatten(tensors))
    return all(bool(np.isfinite(array).all()) for array in arrays if np.issubdtype(array.dtype, np.inexact))


def last_finite_state(
    loop: Callable[..., tuple[TrainingState, tf.Tensor]], state: TrainingState, losses: tf.Tensor, iterations: int
) -> tuple[TrainingState, tf.Tensor, int, str]:
    """Repeats iterations of which one is not finite, one by one, up to that one.

    Args:
        loop: of `compiled_loop`.
        state: finite, before these iterations.
        losses: the sum of the meta-losses before.
        iterations: their number.

    Returns:
        (the state before the first iteration that is not finite, the sum of the losses there, the number of iterations
        done, what is not finite after the next one).
    """
    for done in range(iterations):
        after, total = loop(state, tf.constant(1), losses)
        if not (math.isfinite(float(total)) and is_finite(after[1:])):
            loss = float(total - losses)
            what = "a parameter or gradient" if math.isfinite(loss) else f"the meta-loss ({loss})"
            return state, losses, done, what
        state, losses = after, total
    return state, losses, iterations, "a parameter or gradient"


def keep_batch(run_dir: RunDirectory, iteration: int, seed: int, batch: Any) -> pathlib.Path:
    """Writes the tasks of an iteration next to the state; returns the path.

    Args:
        run_dir: of the training.
        iteration: the number of iterations done before.
        seed: of the training.
        batch: a TaskBatch.
    """
    path = run_dir.path / DIVERGED
    arrays: dict[str, Any] = {
        f"batch_{index}": np.asarray(tensor) for index, tensor in enumerate(tf.nest.flatten(batch))
    }
    with atomic_write(path, "wb") as file:
        np.savez(file, iteration=np.int64(iteration), seed=np.int64(seed), **arrays)
    return path


def read_kept(run_dir: RunDirectory) -> Mapping[str, np.ndarray]:
    """What `keep_batch` wrote: `iteration`, `seed` and the arrays `batch_0`, `batch_1`, ...

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    path = run_dir.path / DIVERGED
    try:
        with open_npz(path) as archive:
            kept = {name: archive[name] for name in ("iteration", "seed", *archive.files)}
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: no kept iteration can be read ({error}): the training did not diverge") from None
    return kept


def label_problem(learner: Any, params: Sequence[tf.Tensor], batch: Any) -> str:
    """What is wrong with class labels, which XLA turns into NaN without a word; "" where nothing is, or the loss
    compares values and not classes.

    Args:
        learner: with a `forward` and a `loss` as in `maml_tf.meta.learner`.
        params: theta.
        batch: a TaskBatch.
    """
    if getattr(getattr(getattr(learner, "loss", None), "losses", None), "kind", None) != "classes":
        return ""
    try:
        outputs = int(learner.forward(params, batch.support_x[0]).shape[-1])
        labels = {name: np.asarray(getattr(batch, name)) for name in ("support_y", "query_y")}
    except Exception:  # another kind of learner or batch: there is nothing to say about it
        return ""
    for name, values in labels.items():
        if values.size and np.issubdtype(values.dtype, np.integer):
            wrong = values[(values < 0) | (values >= outputs)]
            if wrong.size:
                return f"; {name} has the label {wrong[0]}, and the model has {outputs} outputs"
    return ""
