"""Training a policy from the first to the last iteration: sample, update, save (algorithm 3; PROTOCOL 3.4 to 3.7)."""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from maml_tf._io import check_writable
from maml_tf.errors import UsageError
from maml_tf.meta.arguments import seed_number, whole_number
from maml_tf.rl.maml_trpo import MAMLTRPO, MetaIteration
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.task_groups import PolicySpread
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory, load_or_init
from maml_tf.training.divergence import ADVICE, is_finite
from maml_tf.training.progress import Progress
from maml_tf.training.scalars import scalar_writer
from maml_tf.training.stopping import StopRequest, TrainingStoppedError
from maml_tf.training.weights import write_weights
from maml_tf.training.workers import Workers, check_workers

GOAL_EVERY = ("task", "trajectory")
CHOSEN_MODELS = ("best_return", "last")


def train(
    learner: MAMLTRPO,
    sampler: Sampler,
    *,
    iterations: int,
    seed: int = 0,
    goal_every: str = "task",
    chosen_model: str = "best_return",
    snapshots: Sequence[int] = (),
    run_dir: RunDirectory | str | os.PathLike | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    workers: Workers | None = None,
    label: str = "training",
) -> Checkpoint:
    """Runs `learner.iteration` until `iterations` are done.

    The goals and samples of iteration i are drawn from (seed, i) alone, and the state is saved after every iteration.
    So a training that was interrupted ends with the same numbers.

    By default the chosen model is the best one: its samples had the highest mean return after adaptation (paper,
    appendix A.2; PROTOCOL 3.6). An iteration samples with the parameters that it starts from, so the model after the
    last iteration is never the best.

    Args:
        learner: theta starts as its `initial_params()`.
        sampler: of T tasks; their goals come from its `goal_distribution`.
        iterations: meta-iterations in all.
        seed: of goals and samples.
        goal_every: "task": new goals for the tasks of every iteration; "trajectory": a new goal for every trajectory.
        chosen_model: "best_return", or "last": the model after the last iteration.
        snapshots: iterations; the model after each of them is kept in `run_dir`, see `snapshot_file`.
        run_dir: where the checkpoint is saved. None: nothing is written.
        resume: continue the training in `run_dir`. Otherwise an unfinished training there is an error.
        tensorboard: write TensorBoard scalars into `run_dir`.
        workers: spread sampling and update over machines, such as `mt.RayWorkers(2)`, by the groups of the sampler. The
            result has the same bits for any number of workers on machines of the same kind. An update differs from that
            without workers by rounding, which the samples of later iterations enlarge.
        label: names the run on the screen.

    Returns:
        Its `validations` are the mean returns after adaptation, each with the iteration whose parameters sampled them.

    Raises:
        UsageError: an argument is not allowed, or `run_dir` holds an unfinished training and `resume` is false.
        FloatingPointError: a policy, a reward or the update is not finite; the message says in which iteration. The
            state saved before it stays.
        TrainingStoppedError: Ctrl-C or SIGTERM came. It is a KeyboardInterrupt; the state is saved.
    """
    whole_number("iterations", iterations, 0)
    seed_number("seed", seed)
    if goal_every not in GOAL_EVERY:
        raise UsageError(f"goal_every: {goal_every!r} is not allowed; expected one of {', '.join(GOAL_EVERY)}")
    if chosen_model not in CHOSEN_MODELS:
        raise UsageError(f"chosen_model: {chosen_model!r} is not allowed; expected one of {', '.join(CHOSEN_MODELS)}")
    check_workers(workers)
    if run_dir is None and (resume or tensorboard or snapshots):
        raise UsageError("run_dir: resume, tensorboard and snapshots need a folder")
    if run_dir is not None and not isinstance(run_dir, RunDirectory):
        check_writable(run_dir, "run_dir")
        run_dir = RunDirectory(run_dir)
    checkpoint = load_or_init(run_dir, learner.initial_params(), iterations, resume)
    if checkpoint.iteration >= iterations:
        return checkpoint
    with contextlib.ExitStack() as stack:
        iteration_of = learner.iteration
        if workers is not None:  # before signals are handled: a cluster's library handles them, too
            spread = stack.enter_context(contextlib.closing(PolicySpread(learner, sampler, workers)))
            iteration_of = spread.iteration
        if run_dir is not None:
            stack.enter_context(run_dir.locked())
            checkpoint = load_or_init(run_dir, learner.initial_params(), iterations, resume)
        write_scalars = stack.enter_context(scalar_writer(run_dir, tensorboard))
        progress = stack.enter_context(Progress(label, iterations, checkpoint.iteration))
        # Without a run directory nothing is saved: signals then act as in any other program.
        stop = stack.enter_context(StopRequest()) if run_dir is not None else None
        progress.line(f"the first iteration of {sampler.num_tasks} tasks compiles the update")
        first = checkpoint.iteration
        while checkpoint.iteration < iterations:
            started, iteration = time.monotonic(), checkpoint.iteration
            where = f"{label}: iteration {iteration} (seed {seed})"
            try:
                # An iteration is drawn from its number, so a signal may break it off: it is repeated later.
                with contextlib.nullcontext() if stop is None else stop.at_once():
                    done = run_iteration(iteration_of, sampler, checkpoint.state, goal_every, seed)
            except FloatingPointError as error:
                if run_dir is not None:
                    run_dir.write(checkpoint)  # for a replay, also where nothing was saved before
                raise FloatingPointError(f"{where}: {error}. {ADVICE}. {_saved(run_dir, iteration)}") from error
            except TrainingStoppedError as error:
                raise TrainingStoppedError(
                    f"{label}: stopped at iteration {iteration} of {iterations}. {_saved(run_dir, iteration)}",
                    error.number,
                ) from None
            before, after = done.returns[0], done.returns[-1]
            if chosen_model == "best_return":
                checkpoint.add_validation(iteration, checkpoint.state.params, after)
            else:
                checkpoint.validations.append([iteration, after])
            checkpoint.state = done.state
            checkpoint.losses.append([iteration + 1, done.metrics["loss"]])
            checkpoint.physics_failures += done.physics_failures
            checkpoint.seconds += time.monotonic() - started
            if run_dir is not None:
                if checkpoint.iteration in snapshots:  # before the state: a killed run repeats the iteration
                    _write_snapshot(run_dir, checkpoint, learner)
                run_dir.write(checkpoint)
            values = {"return_before": before, "return_after": after, **done.metrics}
            write_scalars(values | {"physics_failures": done.physics_failures}, iteration)
            if iteration == first:
                progress.measure_from_here(iteration + 1)
            best = {} if checkpoint.best_params is None else {"best": checkpoint.best_score}
            progress.update(iteration + 1, before=before, after=after, **best)
    return checkpoint


def snapshot_file(run_dir: RunDirectory, iteration: int) -> pathlib.Path:
    """The weight file of the model after an iteration, if it was asked for."""
    return run_dir.path / f"iteration_{iteration}.npz"


def run_iteration(
    iteration_of: Callable[..., MetaIteration], sampler: Sampler, state: TrainingState, goal_every: str, seed: int
) -> MetaIteration:
    """The iteration after `state`, whose goals and samples are drawn from (seed, number of iterations done) alone.

    Args:
        iteration_of: `learner.iteration`.
        sampler, goal_every, seed: see `train`.
        state: before the iteration.

    Raises:
        FloatingPointError: a reward, a return, the loss or a parameter is not finite.
    """
    rng = np.random.default_rng([seed, int(state.iteration)])
    goals = sampler.goal_distribution.sample(rng, sampler.num_tasks) if goal_every == "task" else None
    done = iteration_of(state, sampler, goals, rng)
    checked = {"a return": done.returns, "the loss": done.metrics["loss"], "a parameter": done.state[1:]}
    for what, values in checked.items():
        if not is_finite(values):
            raise FloatingPointError(f"{what} is not finite after the update")
    return done


def _write_snapshot(run_dir: RunDirectory, checkpoint: Checkpoint, learner: Any) -> None:
    write_weights(snapshot_file(run_dir, checkpoint.iteration), learner, checkpoint.state.params)


def _saved(run_dir: RunDirectory | None, iteration: int) -> str:
    if run_dir is None or not run_dir.exists():
        return "Nothing was saved"
    return (
        f"The state after {iteration} iterations is saved in {run_dir.path}; the same command with --resume "
        "(resume=True) goes on from it"
    )
