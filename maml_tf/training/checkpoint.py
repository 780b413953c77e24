"""The folder of one training: its state, written whole, so that a killed run resumes to the same numbers."""

import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from maml_tf._io import UNREADABLE_NPZ, atomic_write
from maml_tf.errors import UsageError
from maml_tf.meta.functional import weight_names
from maml_tf.training.adam import TrainingState


@dataclasses.dataclass
class Saved:
    """What a training has reached: where it stands, the best model so far and how it went.

    Attributes:
        state: the TrainingState.
        best_params: parameters with the best validation score, or None before the first validation.
        best_score, best_iteration: that score and when it was reached.
        losses: [[iteration, mean meta-loss since the row before], ...].
        validations: [[iteration, validation score], ...].
        seconds, validation_seconds: wall time spent so far in the training loop and in validating.
        physics_failures: of a policy's training: rollouts that the physics ended by breaking down.
        origin: of a training that was run elsewhere: where, with what, from which package; texts by name.
        trained_at: the commits of the code that has trained, in order; none from before they were noted.
    """

    state: TrainingState
    best_params: list | None = None
    best_score: float = float("nan")
    best_iteration: int = -1
    losses: list = dataclasses.field(default_factory=list)
    validations: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    validation_seconds: float = 0.0
    physics_failures: int = 0
    origin: dict = dataclasses.field(default_factory=dict)
    trained_at: list = dataclasses.field(default_factory=list)

    def validated(self, iteration, params, score):
        """Takes in the validation score of a model; the first with the best score is the chosen one."""
        self.validations.append([iteration, score])
        if self.best_params is None or score > self.best_score:
            self.best_params, self.best_score, self.best_iteration = params, score, iteration

    @property
    def iteration(self):
        """Meta-iterations done, a Python integer."""
        return int(self.state.iteration)

    @property
    def chosen_params(self):
        """The best parameters on the validation tasks, or the last ones where nothing was validated."""
        return self.state.params if self.best_params is None else self.best_params


class RunDirectory:
    """Holds `state.npz` of one training: one spec, one profile, one seed.

    Args:
        path: of the folder.
        commit: that of the code that trains here; it is noted in what is written.
    """

    def __init__(self, path, commit=None):
        self.path = pathlib.Path(path)
        self.state_file = self.path / "state.npz"
        self.commit = commit

    def exists(self):
        """Whether a training was begun here."""
        return self.state_file.exists()

    def write(self, saved):
        """Replaces the saved state as a whole, and notes in it the commit that trains."""
        if self.commit and self.commit not in saved.trained_at[-1:]:
            saved.trained_at.append(self.commit)
        arrays = {"iteration": np.int32(saved.iteration), "seconds": [saved.seconds, saved.validation_seconds]}
        arrays |= {"losses": np.reshape(saved.losses, [-1, 2]), "validations": np.reshape(saved.validations, [-1, 2])}
        lists = {"params": saved.state.params, "first": saved.state.first_moments, "second": saved.state.second_moments}
        if saved.best_params is not None:
            lists["best"] = saved.best_params
            arrays |= {"best_score": np.float64(saved.best_score), "best_iteration": np.int32(saved.best_iteration)}
        if saved.physics_failures:
            arrays["physics_failures"] = np.int64(saved.physics_failures)
        if saved.origin:
            arrays["origin"] = np.array(json.dumps(saved.origin))
        if saved.trained_at:
            arrays["trained_at"] = np.array(saved.trained_at)
        for name, tensors in lists.items():
            arrays |= {f"{name}_{index}": np.asarray(tensor) for index, tensor in enumerate(tensors)}
        with atomic_write(self.state_file, "wb") as file:
            np.savez(file, **arrays)

    def read(self):
        """The Saved state; UsageError when the file is not one."""
        try:
            with np.load(self.state_file) as archive:
                return _saved_from(dict(archive))
        except UNREADABLE_NPZ as error:
            raise UsageError(f"{self.state_file}: not a saved training ({error}); --restart begins anew") from None


def _saved_from(arrays):
    def tensors(name):
        count = sum(key.startswith(f"{name}_") and key.removeprefix(f"{name}_").isdigit() for key in arrays)
        return [tf.constant(arrays[f"{name}_{index}"]) for index in range(count)]

    saved = Saved(TrainingState(tf.constant(arrays["iteration"]), *map(tensors, ("params", "first", "second"))))
    saved.losses, saved.validations = arrays["losses"].tolist(), arrays["validations"].tolist()
    saved.seconds, saved.validation_seconds = arrays["seconds"].tolist()
    if "best_score" in arrays:
        saved.best_params = tensors("best")
        saved.best_score, saved.best_iteration = float(arrays["best_score"]), int(arrays["best_iteration"])
    saved.physics_failures = int(arrays.get("physics_failures", 0))
    if "origin" in arrays:
        saved.origin = json.loads(str(arrays["origin"]))
    if "trained_at" in arrays:
        saved.trained_at = arrays["trained_at"].tolist()
    return saved


def write_weights(path, model, params):
    """Writes parameters as an .npz, each under its variable's name in the model (`dense_1/kernel`, ...)."""
    with atomic_write(path, "wb") as file:
        np.savez(file, **{name: np.asarray(p) for name, p in zip(weight_names(model), params, strict=True)})


def read_weights(path, model):
    """Reads parameters written by `write_weights` for a model of the same shapes.

    Raises:
        UsageError: the file is missing, or its names or shapes are not the model's.
    """
    try:
        with np.load(path) as archive:
            arrays = dict(archive)
    except UNREADABLE_NPZ as error:
        raise UsageError(f"{path}: no weights can be read from it ({error})") from None
    return as_params(arrays, model, path)


def as_params(arrays, model, where):
    """Arrays by weight name as the parameters of `model`; a UsageError that begins with `where` if they are not its.

    The names are those of `weight_names`.
    """
    names = weight_names(model)
    expected = {name: tuple(v.shape) for name, v in zip(names, model.trainable_variables, strict=True)}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        differing = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise UsageError(
            f"{where}: weights of another model: {differing[0]} has shape {found.get(differing[0])}, "
            f"the model's is {expected.get(differing[0])}"
        )
    return [tf.constant(arrays[name]) for name in names]
