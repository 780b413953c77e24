"""Training a policy from the first to the last iteration: sample, update, save (algorithm 3; PROTOCOL 3.4 to 3.7)."""

import os
import time

import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.training.checkpoint import Checkpoint, RunDirectory, load_or_init
from maml_tf.training.progress import Progress
from maml_tf.training.scalars import scalar_writer

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
    run_dir: RunDirectory | str | os.PathLike | None = None,
    resume: bool = False,
    tensorboard: bool = False,
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
        run_dir: where the checkpoint is saved. None: nothing is written.
        resume: continue the training in `run_dir`. Otherwise an unfinished training there is an error.
        tensorboard: write TensorBoard scalars into `run_dir`.
        label: names the run on the screen.

    Returns:
        Its `validations` are the mean returns after adaptation, each with the iteration whose parameters sampled them.

    Raises:
        UsageError: an argument is not allowed, or `run_dir` holds an unfinished training and `resume` is false.
        FloatingPointError: a policy or the update broke down; the message says in which iteration. The state saved
            before it stays.
    """
    if iterations < 0:
        raise UsageError(f"iterations: {iterations} is not allowed; expected a whole number from 0")
    if goal_every not in GOAL_EVERY:
        raise UsageError(f"goal_every: {goal_every!r} is not allowed; expected one of {', '.join(GOAL_EVERY)}")
    if chosen_model not in CHOSEN_MODELS:
        raise UsageError(f"chosen_model: {chosen_model!r} is not allowed; expected one of {', '.join(CHOSEN_MODELS)}")
    if run_dir is None and (resume or tensorboard):
        raise UsageError("run_dir: resume and tensorboard need a folder")
    if run_dir is not None and not isinstance(run_dir, RunDirectory):
        run_dir = RunDirectory(run_dir)
    checkpoint = load_or_init(run_dir, learner.initial_params(), iterations, resume)
    with (
        scalar_writer(run_dir, tensorboard) as write_scalars,
        Progress(label, iterations, checkpoint.iteration) as progress,
    ):
        while checkpoint.iteration < iterations:
            started, iteration = time.monotonic(), checkpoint.iteration
            rng = np.random.default_rng([seed, iteration])
            goals = None
            if goal_every == "task":
                goals = sampler.goal_distribution.sample(rng, sampler.num_tasks)
            try:
                done = learner.iteration(checkpoint.state, sampler, goals, rng)
            except FloatingPointError as error:
                raise FloatingPointError(f"{label}: iteration {iteration}: {error}") from error
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
                run_dir.write(checkpoint)
            values = {"return_before": before, "return_after": after, **done.metrics}
            write_scalars(values | {"physics_failures": done.physics_failures}, iteration)
            best = {} if checkpoint.best_params is None else {"best": checkpoint.best_score}
            progress.update(iteration + 1, before=before, after=after, **best)
    return checkpoint
