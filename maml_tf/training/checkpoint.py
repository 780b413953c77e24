"""The directory of one training: its checkpoint, written whole, so that a killed run resumes to the same numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf._io import LOCK, UNREADABLE_NPZ, atomic_write, lock_or_holder, open_npz
from maml_tf.errors import UsageError
from maml_tf.training.adam import TrainingState
from maml_tf.training.keras_optimizer import OptimizerState


@dataclasses.dataclass
class Checkpoint:
    """What a training has reached: its state, the best model so far, and the curves.

    Attributes:
        state: the TrainingState, or the OptimizerState of a Keras optimizer.
        best_params: the parameters with the best validation score, or None before the first validation.
        best_score, best_iteration: that score and the iteration that it was reached at.
        losses: [[iteration, mean meta-loss since the row before], ...].
        validations: [[iteration, validation score], ...].
        seconds, validation_seconds: wall time spent in the training loop and in validation, over all processes.
        physics_failures: of a policy's training: the number of rollouts that ended because the simulation broke down.
        imported_from: where a training on another machine ran, with which software, from which package, by name.
        trained_at: the commits of the code that trained, in order; empty for trainings before commits were recorded.
        data: the SHA-256 of each array that the tasks are cut from, by name; empty for tasks from a formula, and for
            trainings before it was recorded.
        open_losses: (sum, number) of the meta-losses since the last row of `losses`; None where it ended right there.
        validation_due: the state was saved after a validation became due and before it was done.
    """

    state: Any  # TrainingState | OptimizerState
    best_params: list[tf.Tensor] | None = None
    best_score: float = float("nan")
    best_iteration: int = -1
    losses: list[list[float]] = dataclasses.field(default_factory=list)
    validations: list[list[float]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    validation_seconds: float = 0.0
    physics_failures: int = 0
    imported_from: dict[str, str] = dataclasses.field(default_factory=dict)
    trained_at: list[str] = dataclasses.field(default_factory=list)
    data: dict[str, str] = dataclasses.field(default_factory=dict)
    open_losses: tuple[np.ndarray, int] | None = None
    validation_due: bool = False

    @property
    def iteration(self) -> int:
        """The number of meta-iterations done."""
        return int(self.state.iteration)

    @property
    def params(self) -> list[tf.Tensor]:
        """The chosen theta: the best on the validation tasks, or the last one where nothing was validated."""
        return self.state.params if self.best_params is None else self.best_params

    def add_validation(self, iteration: int, params: Sequence[tf.Tensor], score: float) -> None:
        """Records the validation score of a model. Of several with the best score, the first stays the best."""
        self.validations.append([iteration, score])
        if self.best_params is None or score > self.best_score:
            self.best_params, self.best_score, self.best_iteration = list(params), score, iteration


class RunDirectory:
    """The directory of one training: one spec, one profile, one seed.

    It holds `state.npz`, the latest checkpoint. A training whose model is chosen by validation adds `half.npz`, its
    checkpoint at exactly half of the iterations, which never changes afterwards.

    Args:
        path: of the directory; it is created when something is written.
        commit: the commit of the code that trains here, which is recorded in the checkpoints.
        data: the SHA-256 of the arrays that the tasks are cut from, by name. It is recorded in the checkpoints, and a
            checkpoint of other data is refused.
    """

    def __init__(self, path: str | os.PathLike, commit: str | None = None, data: Mapping[str, str] | None = None):
        self.path = pathlib.Path(path)
        self.commit = commit
        self.data = dict(data or {})
        self.state_file = self.path / "state.npz"
        self.half_file = self.path / "half.npz"

    def exists(self) -> bool:
        """Whether a training was started here."""
        return self.state_file.exists()

    def write(self, checkpoint: Checkpoint) -> None:
        """Replaces `state.npz` as a whole, and records the commit in the checkpoint."""
        self._write(checkpoint, self.state_file)

    def write_half(self, checkpoint: Checkpoint) -> None:
        """Writes `half.npz`: the checkpoint at half of the iterations."""
        self._write(checkpoint, self.half_file)

    def read(self) -> Checkpoint:
        """The latest checkpoint.

        Raises:
            UsageError: there is none, the file is damaged, or it was trained on other data.
        """
        checkpoint = _read(self.state_file, "--restart trains from the beginning")
        for name, digest in self.data.items():
            if checkpoint.data.get(name, digest) != digest:
                raise UsageError(
                    f"{self.state_file}: trained on other data: the SHA-256 of {name} was {checkpoint.data[name]}, now "
                    f"it is {digest}. --data names the folder of the data sets; --restart trains from the beginning"
                )
        return checkpoint

    def read_half(self) -> Checkpoint:
        """The checkpoint at half of the iterations.

        Raises:
            UsageError: there is none, or the file is damaged.
        """
        return _read(self.half_file, "a training writes it at exactly half of its iterations")

    def clear(self) -> None:
        """Removes everything but the lock. Call it under `locked`."""
        for path in self.path.iterdir():
            if path.name == LOCK:
                continue
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Reserves the directory for this process. The system releases it, too, when the process dies.

        Raises:
            UsageError: another process trains there; the message names it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / LOCK, "a+", encoding="utf-8") as lock:
            process = lock_or_holder(lock)
            if process is not None:
                raise UsageError(
                    f"{self.path}: another training is under way there: {process}. Wait until it has ended, or stop it"
                )
            lock.seek(0)
            lock.truncate()
            lock.write(f"process {os.getpid()} on {platform.node()}, started as {shlex.join(sys.argv)}\n")
            lock.flush()
            yield

    def _write(self, checkpoint: Checkpoint, path: pathlib.Path) -> None:
        checkpoint.data = checkpoint.data or dict(self.data)
        if self.commit and self.commit not in checkpoint.trained_at[-1:]:
            checkpoint.trained_at.append(self.commit)
        with atomic_write(path, "wb") as file:
            np.savez(file, **_arrays_of(checkpoint))  # pyright: ignore[reportArgumentType] (as in weights.py)


def load_or_init(
    run_dir: RunDirectory | None,
    initial_params: Sequence[tf.Tensor],
    iterations: int,
    resume: bool,
    start: Callable[[Sequence[tf.Tensor]], TrainingState | OptimizerState] = TrainingState.start,
) -> Checkpoint:
    """The checkpoint in a run directory, or a fresh one.

    Args:
        run_dir: the directory, or None for a training that writes nothing.
        initial_params: theta at iteration 0.
        iterations: of the whole training.
        resume: whether an unfinished training may be continued.
        start: the state of the optimizer at iteration 0, of theta.

    Raises:
        UsageError: the directory holds an unfinished training and `resume` is false, or one of another model or
            optimizer.
    """
    if run_dir is None or not run_dir.exists():
        return Checkpoint(start(initial_params))
    checkpoint = run_dir.read()
    unfinished = checkpoint.iteration < iterations or checkpoint.validation_due
    found, expected = _shapes(checkpoint.state), _shapes(start(initial_params))
    if not unfinished and not any(found[1:]):  # parameters of a training elsewhere (maml_tf/export/importer.py)
        found, expected = found[:1], expected[:1]
    if found != expected:
        raise UsageError(
            f"{run_dir.path} holds a training with weights or an optimizer of other shapes; choose another directory"
        )
    if unfinished and not resume:
        raise UsageError(
            f"{run_dir.path} holds a training that stopped at iteration {checkpoint.iteration} of {iterations}: "
            "--resume (resume=True) continues it, --restart trains from the beginning"
        )
    return checkpoint


def _shapes(state: TrainingState | OptimizerState) -> list[list[tuple[int, ...]]]:
    """The shapes of everything that a state holds but the iteration."""
    return [[tuple(tensor.shape) for tensor in tensors] for tensors in state[1:]]


def _arrays_of(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The arrays of `state.npz`. Trainings under way are in this format: its keys do not change."""
    state = checkpoint.state
    arrays = {
        "iteration": np.int32(checkpoint.iteration),
        "seconds": np.array([checkpoint.seconds, checkpoint.validation_seconds]),
        "losses": np.reshape(checkpoint.losses, [-1, 2]),
        "validations": np.reshape(checkpoint.validations, [-1, 2]),
    }
    if isinstance(state, OptimizerState):
        lists = {"params": state.params, "optimizer": state.variables}
    else:
        lists = {"params": state.params, "first": state.first_moments, "second": state.second_moments}
    if checkpoint.best_params is not None:
        lists["best"] = checkpoint.best_params
        arrays["best_score"] = np.float64(checkpoint.best_score)
        arrays["best_iteration"] = np.int32(checkpoint.best_iteration)
    if checkpoint.physics_failures:
        arrays["physics_failures"] = np.int64(checkpoint.physics_failures)
    if checkpoint.imported_from:
        arrays["origin"] = np.array(json.dumps(checkpoint.imported_from))
    if checkpoint.trained_at:
        arrays["trained_at"] = np.array(checkpoint.trained_at)
    if checkpoint.data:
        arrays["data"] = np.array(json.dumps(checkpoint.data))
    if checkpoint.open_losses is not None:
        losses, iterations = checkpoint.open_losses
        arrays |= {"open_losses": losses, "open_iterations": np.int32(iterations)}
    if checkpoint.validation_due:
        arrays["validation_due"] = np.bool_(True)
    for name, tensors in lists.items():
        arrays |= {f"{name}_{index}": np.asarray(tensor) for index, tensor in enumerate(tensors)}
    return arrays


def _read(path: pathlib.Path, remedy: str) -> Checkpoint:
    try:
        with open_npz(path) as archive:
            return _checkpoint_from(dict(archive))
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: not a saved training ({error}); {remedy}") from None


def _checkpoint_from(arrays: Mapping[str, np.ndarray]) -> Checkpoint:
    def tensors(name: str) -> list[tf.Tensor]:
        count = sum(key.startswith(f"{name}_") and key.removeprefix(f"{name}_").isdigit() for key in arrays)
        return [tf.constant(arrays[f"{name}_{index}"]) for index in range(count)]

    iteration, params = tf.constant(arrays["iteration"]), tensors("params")
    if "optimizer_0" in arrays:
        state = OptimizerState(iteration, params, tensors("optimizer"))
    else:
        state = TrainingState(iteration, params, tensors("first"), tensors("second"))
    seconds, validation_seconds = arrays["seconds"].tolist()
    checkpoint = Checkpoint(
        state,
        losses=arrays["losses"].tolist(),
        validations=arrays["validations"].tolist(),
        seconds=seconds,
        validation_seconds=validation_seconds,
        physics_failures=int(arrays.get("physics_failures", 0)),
        imported_from=json.loads(str(arrays["origin"])) if "origin" in arrays else {},
        trained_at=arrays["trained_at"].tolist() if "trained_at" in arrays else [],
        data=json.loads(str(arrays["data"])) if "data" in arrays else {},
        open_losses=(arrays["open_losses"], int(arrays["open_iterations"])) if "open_losses" in arrays else None,
        validation_due="validation_due" in arrays,
    )
    if "best_score" in arrays:
        checkpoint.best_params = tensors("best")
        checkpoint.best_score = float(arrays["best_score"])
        checkpoint.best_iteration = int(arrays["best_iteration"])
    return checkpoint
