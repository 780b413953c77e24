"""Meta-training from the first to the last iteration: run, log, validate, save."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf._io import check_writable
from maml_tf.errors import UsageError
from maml_tf.meta.arguments import number, seed_number, whole_number
from maml_tf.meta.compiled import compiled_with_tasks
from maml_tf.meta.entrance import check_tasks
from maml_tf.meta.learner import Learner
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.tasks.random import VALIDATION_TASKS
from maml_tf.training.checkpoint import Checkpoint, RunDirectory, load_or_init
from maml_tf.training.loop import compiled_loop
from maml_tf.training.meta_training import MetaTraining
from maml_tf.training.optimizer import chosen_optimizer
from maml_tf.training.progress import Progress
from maml_tf.training.scalars import scalar_writer
from maml_tf.training.shares import MirroredSpread, WorkerSpread
from maml_tf.training.stopping import StopRequest
from maml_tf.training.workers import Workers, check_workers

VALIDATIONS_PER_RUN = 20


def train(
    learner: Learner,
    tasks: TaskDistribution,
    *,
    iterations: int = 2000,
    batch_size: int = 8,
    learning_rate: float | Callable[[tf.Tensor], tf.Tensor] | None = None,
    optimizer: Any = None,
    seed: int = 0,
    gradient_clip: float | None = None,
    validation_tasks: TaskDistribution | None = None,
    num_validation_tasks: int = 100,
    validate: Callable[[Sequence[tf.Tensor]], float] | None = None,
    validate_every: int | None = None,
    run_dir: RunDirectory | str | os.PathLike | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    strategy: tf.distribute.Strategy | None = None,
    workers: Workers | None = None,
    label: str = "training",
) -> Checkpoint:
    """Meta-trains a learner, with Adam by default, and returns what was reached.

        checkpoint = train(learner, tasks, iterations=2000, run_dir="runs/mine")
        adapted = learner.adapt(x, y, params=checkpoint.params)

    The tasks of iteration i are drawn from (seed, i) alone. So a training that was interrupted and resumed ends with
    the same numbers as one that ran through.

    Args:
        learner: a MAML or one of the baselines; theta starts as its `initial_params()`.
        tasks: the distribution to train on.
        iterations: meta-iterations in all.
        batch_size: number of tasks in each iteration.
        learning_rate: beta, of Adam: a number, or a schedule (see `Adam`) such as a
            `keras.optimizers.schedules.LearningRateSchedule`; 0.003 by default. Epsilon of Reptile's interpolation,
            0.1 by default.
        optimizer: a Keras optimizer, or its name, in place of Adam. A copy with fresh variables is used.
        seed: of the task draws.
        gradient_clip: every entry of the meta-gradient is clipped to [-gradient_clip, gradient_clip].
        validation_tasks: choose the model with the lowest meta-loss on fixed tasks of this distribution.
        num_validation_tasks: how many, rounded up to whole batches.
        validate: choose the model with the highest `validate(theta)` instead; of equal scores the first is chosen.
        validate_every: iterations between validations, which also take place after the last iteration; by default a
            twentieth of the training.
        run_dir: a directory for checkpoints (`state.npz`) and TensorBoard events. None: nothing is written.
        resume: continue the training in `run_dir`. Otherwise an unfinished training there is an error; a finished one
            is returned.
        tensorboard: write TensorBoard scalars into `run_dir`.
        strategy: a `tf.distribute.MirroredStrategy`: the tasks of an iteration are divided over its devices. The result
            is that of one device up to rounding, and a training may be resumed with other devices.
        workers: spread the tasks of an iteration over machines, such as `mt.RayWorkers(8)`. The result has the same
            bits for any number of workers on machines of the same kind, and a training may be resumed with another
            number (see `WorkerSpread`).
        label: names the training in the progress lines.

    Returns:
        A Checkpoint. Its `params` are the theta chosen by validation, or the last where nothing is validated.

    Raises:
        UsageError: an argument is not allowed, the tasks do not fit the learner, or `run_dir` holds an unfinished
            training and `resume` is false.
        FloatingPointError: a loss, parameter, gradient or validation score is not finite. The message names the
            iteration. The state before it is saved, and its tasks in `diverged.npz`.
        TrainingStoppedError: Ctrl-C or SIGTERM came, and the state is saved. It is a KeyboardInterrupt.
    """
    for name, value in (("iterations", iterations), ("batch_size", batch_size), ("validate_every", validate_every)):
        if value is not None:
            whole_number(name, value)
    whole_number("num_validation_tasks", num_validation_tasks)
    seed_number("seed", seed)
    if gradient_clip is not None and number("gradient_clip", gradient_clip) == 0:
        raise UsageError(f"gradient_clip: {gradient_clip!r} is not allowed; expected a number above 0")
    if validate is not None and not callable(validate):
        raise UsageError(f"validate: {validate!r} is not allowed; expected a function of theta that returns a score")
    if validation_tasks is not None and validate is not None:
        raise UsageError("validation_tasks and validate: only one of them is allowed")
    if run_dir is None and (resume or tensorboard):
        raise UsageError("run_dir: resume and tensorboard need a directory")
    if strategy is not None and workers is not None:
        raise UsageError("strategy and workers: only one of them is allowed")
    check_workers(workers)
    chosen = chosen_optimizer(optimizer, learning_rate, getattr(learner, "interpolates", False))
    learner = check_tasks(learner, tasks)
    if run_dir is not None and not isinstance(run_dir, RunDirectory):
        check_writable(run_dir, "run_dir")
        run_dir = RunDirectory(run_dir, data=_data_of(tasks))
    if validation_tasks is not None:
        validating = check_tasks(learner, validation_tasks, "validation_tasks")
        validate = negative_meta_loss(validating, validation_tasks, num_validation_tasks, batch_size)
    validate_every = validate_every or max(1, iterations // VALIDATIONS_PER_RUN)
    half = half_way(iterations, validate_every) if validate else None

    checkpoint = load_or_init(run_dir, learner.initial_params(), iterations, resume, chosen.start)
    if run_dir is not None and _is_half(checkpoint, half) and not run_dir.half_file.exists():
        run_dir.write_half(checkpoint)
    if checkpoint.iteration >= iterations and not checkpoint.validation_due:
        return checkpoint
    spread = None if strategy is None else MirroredSpread(learner, strategy, batch_size)
    with contextlib.ExitStack() as stack:
        if workers is not None:
            # Before signals are handled: a cluster's library handles them, too.
            spread = stack.enter_context(contextlib.closing(WorkerSpread(learner, workers, batch_size)))
        training = MetaTraining(
            learner=learner,
            tasks=tasks,
            loop=compiled_loop(
                learner,
                tasks,
                chosen,
                batch_size=batch_size,
                seed=(seed, 0),
                gradient_clip=gradient_clip,
                spread=spread,
            ),
            iterations=iterations,
            batch_size=batch_size,
            seed=seed,
            label=label,
            run_dir=run_dir,
            validate=validate,
            validate_every=validate_every,
            half=half,
        )
        if run_dir is not None:
            stack.enter_context(run_dir.locked())
            checkpoint = load_or_init(run_dir, learner.initial_params(), iterations, resume, chosen.start)
        write_scalars = stack.enter_context(scalar_writer(run_dir, tensorboard))
        progress = stack.enter_context(Progress(label, iterations, checkpoint.iteration))
        # Without a run directory nothing can be saved: signals then act as in any other program.
        stop = stack.enter_context(StopRequest()) if run_dir is not None else None
        training.run(checkpoint, write_scalars, progress, stop)
    return checkpoint


def _data_of(tasks: TaskDistribution) -> dict[str, str]:
    """The SHA-256 of the array that tasks are cut from, for a RunDirectory."""
    if tasks.examples is None:
        return {}
    return {"the examples": hashlib.sha256(np.ascontiguousarray(tasks.examples).data).hexdigest()}


def _is_half(checkpoint: Checkpoint, half: int | None) -> bool:
    return checkpoint.iteration == half and not checkpoint.validation_due


def half_way(iterations: int, validate_every: int) -> int | None:
    """Half of the iterations, if a validation takes place there: the only moment but the end that a test counts for."""
    half = iterations // 2
    return half if 2 * half == iterations and half % validate_every == 0 else None


def negative_meta_loss(
    learner: Learner, tasks: TaskDistribution, num_tasks: int, batch_size: int
) -> Callable[[Sequence[tf.Tensor]], float]:
    """A validation score: minus the mean meta-loss on fixed tasks, Dropout off, the same at every call.

    Args:
        learner: a MAML or one of the baselines.
        tasks: the distribution of the validation tasks.
        num_tasks: how many, rounded up to whole batches.
        batch_size: number of tasks that are drawn and run at a time.
    """

    def meta_loss(batch: TaskBatch, params: Sequence[tf.Tensor]) -> tf.Tensor:
        # The gradient is not returned, so the compiled function leaves it out.
        return learner.meta_step(params, batch, training=False).loss

    compiled = compiled_with_tasks(meta_loss, tasks, batch_size, jit_compile=learner.task_execution.jit_compile)
    seed, batches = tf.constant(VALIDATION_TASKS), range(-(-num_tasks // batch_size))
    return lambda params: -sum(float(compiled(seed, tf.constant(index), params)) for index in batches) / len(batches)
