"""The directory of one training: its checkpoint, written whole, so that a killed run resumes to the same numbers."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ, atomic_write
from maml_tf.errors import UsageError
from maml_tf.training.adam import TrainingState


@dataclasses.dataclass
class Checkpoint:
    """What a training has reached: its state, the best model so far, and the curves.

    Attributes:
        state: the TrainingState.
        best_params: the parameters with the best validation score, or None before the first validation.
        best_score, best_iteration: that score and the iteration that it was reached at.
        losses: [[iteration, mean meta-loss since the row before], ...].
        validations: [[iteration, validation score], ...].
        seconds, validation_seconds: wall time spent in the training loop and in validation, over all processes.
        physics_failures: of a policy's training: the number of rollouts that ended because the simulation broke down.
        imported_from: where a training on another machine ran, with which software, from which package, by name.
        trained_at: the commits of the code that trained, in order; empty for trainings before commits were recorded.
    """

    state: TrainingState
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
    """

    def __init__(self, path: str | os.PathLike, commit: str | None = None):
        self.path = pathlib.Path(path)
        self.commit = commit
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
            UsageError: there is none, or the file is damaged.
        """
        return _read(self.state_file, "--restart trains from the beginning")

    def read_half(self) -> Checkpoint:
        """The checkpoint at half of the iterations.

        Raises:
            UsageError: there is none, or the file is damaged.
        """
        return _read(self.half_file, "a training writes it at exactly half of its iterations")

    def _write(self, checkpoint: Checkpoint, path: pathlib.Path) -> None:
        if self.commit and self.commit not in checkpoint.trained_at[-1:]:
            checkpoint.trained_at.append(self.commit)
        with atomic_write(path, "wb") as file:
            np.savez(file, **_arrays_of(checkpoint))  # pyright: ignore[reportArgumentType] (as in weights.py)


def load_or_init(
    run_dir: RunDirectory | None, initial_params: Sequence[tf.Tensor], iterations: int, resume: bool
) -> Checkpoint:
    """The checkpoint in a run directory, or a fresh one.

    Args:
        run_dir: the directory, or None for a training that writes nothing.
        initial_params: theta at iteration 0.
        iterations: of the whole training.
        resume: whether an unfinished training may be continued.

    Raises:
        UsageError: the directory holds an unfinished training and `resume` is false.
    """
    if run_dir is None or not run_dir.exists():
        return Checkpoint(TrainingState.start(initial_params))
    checkpoint = run_dir.read()
    if checkpoint.iteration < iterations and not resume:
        raise UsageError(
            f"{run_dir.path} holds a training that stopped at iteration {checkpoint.iteration} of {iterations}: "
            "--resume (resume=True) continues it, --restart trains from the beginning"
        )
    return checkpoint


def _arrays_of(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The arrays of `state.npz`. Trainings under way are in this format: its keys do not change."""
    state = checkpoint.state
    arrays = {
        "iteration": np.int32(checkpoint.iteration),
        "seconds": np.array([checkpoint.seconds, checkpoint.validation_seconds]),
        "losses": np.reshape(checkpoint.losses, [-1, 2]),
        "validations": np.reshape(checkpoint.validations, [-1, 2]),
    }
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
    for name, tensors in lists.items():
        arrays |= {f"{name}_{index}": np.asarray(tensor) for index, tensor in enumerate(tensors)}
    return arrays


def _read(path: pathlib.Path, remedy: str) -> Checkpoint:
    try:
        with np.load(path) as archive:
            return _checkpoint_from(dict(archive))
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: not a saved training ({error}); {remedy}") from None


def _checkpoint_from(arrays: Mapping[str, np.ndarray]) -> Checkpoint:
    def tensors(name: str) -> list[tf.Tensor]:
        count = sum(key.startswith(f"{name}_") and key.removeprefix(f"{name}_").isdigit() for key in arrays)
        return [tf.constant(arrays[f"{name}_{index}"]) for index in range(count)]

    state = TrainingState(tf.constant(arrays["iteration"]), tensors("params"), tensors("first"), tensors("second"))
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
    )
    if "best_score" in arrays:
        checkpoint.best_params = tensors("best")
        checkpoint.best_score = float(arrays["best_score"])
        checkpoint.best_iteration = int(arrays["best_iteration"])
    return checkpoint
