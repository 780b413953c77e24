"""What several tests need: paths, small specs, numerical references, comparisons, and changed copies of files."""

import contextlib
import functools
import importlib
import pathlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from maml_tf.experiments.spec import ExperimentSpec, read_spec

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPRODUCE = ROOT / "reproduce"
SPECS = REPRODUCE / "specs"


def smoke_spec(name: str) -> ExperimentSpec:
    """A spec of the paper at the profile that runs in seconds.

    Args:
        name: file stem in reproduce/specs.
    """
    return read_spec(SPECS / f"{name}.yaml", "smoke")


def finite_differences(
    function: Callable[[list[np.ndarray]], np.ndarray | float], params: Sequence[np.ndarray], step: float = 1e-6
) -> list[np.ndarray]:
    """The derivative of a function by every number in its parameters, by central differences.

    Args:
        function: list of arrays -> a number or an array.
        params: the point, float64 arrays.
        step: half the distance of the two values. The error is about step^2 from the curvature plus 1e-16 / step from
            rounding, so 1e-6 gives about ten digits of a function with values of order 1.

    Returns:
        One array per parameter, of shape [*shape of the parameter, *shape of the function's value].
    """
    derivatives = []
    for index, param in enumerate(params):
        columns = []
        for place in np.ndindex(param.shape):
            values = []
            for sign in (1, -1):
                moved = [np.array(p, np.float64) for p in params]
                moved[index][place] += sign * step
                values.append(np.asarray(function(moved), np.float64))
            columns.append((values[0] - values[1]) / (2 * step))
        derivatives.append(np.stack(columns).reshape(*param.shape, *columns[0].shape))
    return derivatives


def largest_difference(found: Sequence, expected: Sequence) -> float:
    """The largest difference of two lists of arrays, over the largest absolute value in `expected`."""
    scale = max(np.abs(np.asarray(e)).max() for e in expected)
    return max(np.abs(np.asarray(f) - np.asarray(e)).max() for f, e in zip(found, expected, strict=True)) / scale


def changed_copy(path: pathlib.Path, folder: pathlib.Path, old: str, new: str, name: str | None = None) -> pathlib.Path:
    """Copies a text file with one change, to check what a reader says about it.

    Args:
        path: of the file.
        folder: where the copy goes; created if needed.
        old: text that must be in the file; its first occurrence is replaced.
        new: what replaces it.
        name: of the copy; by default that of the file.
    """
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not contain {old!r}"
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / (name or path.name)
    copy.write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy


@contextlib.contextmanager
def operation_by_operation() -> Iterator[None]:
    """Inside, TensorFlow's functions run operation by operation, without being traced or compiled."""
    import tensorflow as tf
    from tensorflow.python.autograph.core import ag_ctx

    tf.config.run_functions_eagerly(True)
    try:
        with ag_ctx.ControlStatusCtx(status=ag_ctx.Status.DISABLED):  # as in the functions
            yield
    finally:
        tf.config.run_functions_eagerly(False)


def share_loops(
    monkeypatch: pytest.MonkeyPatch, kind: Callable[..., Any] = lambda learner, tasks: (learner, tasks)
) -> None:
    """Trainings of the same kind and options take the same compiled loop until the patch is undone.

    A loop is a function of the training's state alone. To trace it takes longer than to run a few iterations. Their
    tasks are checked once.

    Args:
        monkeypatch: what undoes it.
        kind: (learner, tasks) -> what tells the learners and tasks of the tests apart.
    """
    module, loops = importlib.import_module("maml_tf.training.train"), {}
    make = module.compiled_loop

    def shared(learner, tasks, optimizer, **options):
        key = (kind(learner, tasks), optimizer, *sorted(({"gradient_clip": None} | options).items()))
        if key not in loops:
            loops[key] = make(learner, tasks, optimizer, **options)
        return loops[key]

    monkeypatch.setattr(module, "compiled_loop", shared)
    check_tasks_once(monkeypatch, kind)


def check_tasks_once(monkeypatch: pytest.MonkeyPatch, kind: Callable[..., Any]) -> None:
    """`train` checks the tasks of the first training of a kind until the patch is undone; arguments: `share_loops`."""
    module, fitting = importlib.import_module("maml_tf.training.train"), set()
    check = module.check_tasks

    def checked_once(learner, tasks, *name):
        key = (kind(learner, tasks), *name)
        if key in fitting:
            return learner
        checked = check(learner, tasks, *name)
        if checked is learner:
            fitting.add(key)
        return checked

    monkeypatch.setattr(module, "check_tasks", checked_once)


def small_images(monkeypatch: pytest.MonkeyPatch, images_per_class: int, side: int) -> None:
    """mini-ImageNet has fewer images a class, of fewer pixels a side, until the patch is undone."""
    from maml_tf.tasks import mini_imagenet
    from maml_tf.tasks.datasets import MiniImagenetTasks

    monkeypatch.setattr(mini_imagenet, "IMAGES_PER_CLASS", images_per_class)
    monkeypatch.setattr(mini_imagenet, "SIDE", side)
    monkeypatch.setattr(MiniImagenetTasks, "image_shape", (side, side, 3))


def shorter_trajectories(monkeypatch: pytest.MonkeyPatch, horizon: int) -> None:
    """The experiments of reinforcement learning have this many time steps a trajectory until the patch is undone."""
    from maml_tf.experiments.rl import ReinforcementLearningExperiment

    built = ReinforcementLearningExperiment.__init__

    def built_shorter(self, *arguments):
        built(self, *arguments)
        self.make_envs = functools.partial(self.make_envs, max_episode_steps=horizon)

    monkeypatch.setattr(ReinforcementLearningExperiment, "__init__", built_shorter)


def fewer_tries(monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
    """Regressors that miss the threshold are trained `tries` times, not `TRIES`, until the patch is undone."""
    from maml_tf.experiments.multi_task import MultiTaskExperiment

    fit = MultiTaskExperiment._fit
    monkeypatch.setattr(MultiTaskExperiment, "_fit", lambda self, *arguments: fit(self, *arguments[:-1], tries))


def run_python(*arguments: object, cwd: pathlib.Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs this interpreter in a new process and captures its output."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def losing_workers(kind: type, num_workers: int, lost_at: set[int]) -> Any:
    """Workers of a kind that lose one in the calls `lost_at`; `calls` counts them."""
    from maml_tf.training.workers import WorkerLostError

    class LosesOne(kind):
        def __init__(self):
            super().__init__(num_workers)
            self.lost_at, self.calls = lost_at, 0

        def _result(self, pending):
            self.calls += 1
            if self.calls in self.lost_at:
                raise WorkerLostError("killed by the test")
            return super()._result(pending)

    return LosesOne()


def closed_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
