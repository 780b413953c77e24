"""Meta-training from the first to the last iteration: run, log, validate, save."""

import math
import time

import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.training.adam import Adam, TrainingState
from maml_tf.training.checkpoint import Saved
from maml_tf.training.loop import compiled_loop
from maml_tf.training.progress import Progress

LOGS_PER_RUN = 200
SECONDS_BETWEEN_SAVES = 30


def meta_train(
    learner,
    distribution,
    initial_params,
    meta,
    *,
    seed,
    run_dir,
    jit_compile,
    validate=None,
    validate_every=None,
    resume=False,
    tensorboard=False,
    label="training",
):
    """Trains until `meta.iterations` are done and returns what was reached.

    Args:
        learner: has `meta_gradient(params, batch)`.
        distribution: the TaskDistribution to train on.
        initial_params: theta at iteration 0.
        meta: a MetaSpec: iterations, batch_size, learning_rate, gradient_clip.
        seed: of the task draws.
        run_dir: a RunDirectory; the state is saved there as the training goes on, and at its end.
        jit_compile: compile the loop with XLA.
        validate: params -> score, higher is better; called every `validate_every` iterations and at the end.
        validate_every: iterations between validations.
        resume: go on from what the run folder holds. Without it a begun training there is an error.
        tensorboard: write TensorBoard scalars into the run folder.
        label: names the run on the screen.

    Returns:
        Saved: the last state, the best model on the validation tasks, and the curves.

    Raises:
        UsageError: the run folder holds an unfinished training and `resume` is false.
        FloatingPointError: the meta-loss is no longer finite; the state saved before it stays.
    """
    saved = begun(run_dir, initial_params, meta.iterations, resume)
    loop = compiled_loop(
        learner,
        distribution,
        Adam(meta.learning_rate),
        batch_size=meta.batch_size,
        seed=(seed, 0),
        gradient_clip=meta.gradient_clip,
        jit_compile=jit_compile,
    )
    log_every = max(1, meta.iterations // LOGS_PER_RUN)
    validate_every = validate_every or meta.iterations
    scalars = scalar_writer(run_dir, tensorboard)
    last_save = time.monotonic()

    with Progress(label, meta.iterations, saved.iteration) as progress, scalars.as_default():
        while saved.iteration < meta.iterations:
            before, started = saved.iteration, time.monotonic()
            stop = min(_next(before, log_every), _next(before, validate_every), meta.iterations)
            state, loss = loop(saved.state, tf.constant(stop - before))
            loss = float(loss)
            if not math.isfinite(loss):
                raise FloatingPointError(f"{label}: the meta-loss is {loss} between iterations {before} and {stop}")
            saved.state = state
            saved.losses.append([stop, loss])
            saved.seconds += time.monotonic() - started
            tf.summary.scalar("meta_loss", loss, step=stop)
            shown = {"loss": loss}

            validated = validate is not None and (stop % validate_every == 0 or stop == meta.iterations)
            if validated:
                started = time.monotonic()
                score = float(validate(state.params))
                saved.validated(stop, state.params, score)
                tf.summary.scalar("validation_score", score, step=stop)
                saved.validation_seconds += time.monotonic() - started
            if saved.validations:
                shown |= {"validation": saved.validations[-1][1], "best": saved.best_score}
            if validated or stop == meta.iterations or time.monotonic() - last_save > SECONDS_BETWEEN_SAVES:
                run_dir.write(saved)
                last_save = time.monotonic()
            progress.update(stop, **shown)
    return saved


def begun(run_dir, initial_params, iterations, resume):
    """Where a training stands: what its run folder holds, or its very beginning.

    Args:
        run_dir: a RunDirectory.
        initial_params: theta at iteration 0.
        iterations: those of the whole training.
        resume: whether an unfinished training may be gone on with.

    Returns:
        Saved.

    Raises:
        UsageError: the run folder holds an unfinished training and `resume` is false.
    """
    if not run_dir.exists():
        return Saved(TrainingState.start(initial_params))
    saved = run_dir.read()
    if saved.iteration < iterations and not resume:
        raise UsageError(
            f"{run_dir.path} holds a training that stopped at iteration {saved.iteration} of {iterations}: "
            "--resume goes on with it, --restart begins anew"
        )
    return saved


def scalar_writer(run_dir, tensorboard):
    """Writes TensorBoard scalars into a run folder, or nowhere."""
    return tf.summary.create_file_writer(str(run_dir.path)) if tensorboard else tf.summary.create_noop_writer()


def _next(iteration, every):
    return (iteration // every + 1) * every
