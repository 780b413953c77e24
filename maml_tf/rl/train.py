"""Training a policy from the first to the last iteration: sample, update, save (algorithm 3; PROTOCOL 3.4 to 3.7)."""

import time

import numpy as np
import tensorflow as tf

from maml_tf.experiments.spec import TrustRegionSpec
from maml_tf.training.adam import Adam
from maml_tf.training.progress import Progress
from maml_tf.training.train import begun, scalar_writer


def train_policy(
    learner,
    sampler,
    initial_params,
    meta,
    *,
    goal_every,
    seed,
    run_dir,
    resume=False,
    tensorboard=False,
    label="training",
):
    """Trains until `meta.iterations` are done and returns what was reached.

    The goals and samples of iteration i are drawn from (seed, i) alone and the state is saved after every iteration, so
    a training that was stopped ends at the same numbers.

    The best model is the one whose samples had the highest mean return after adaptation (paper, appendix A.2; PROTOCOL
    3.6). An iteration samples with the parameters that it starts from, so the model after the last one is never it.

    Args:
        learner: a MAMLTRPO.
        sampler: Sampler of `meta.batch_size` tasks.
        initial_params: theta at iteration 0, a list.
        meta: a TrustRegionSpec, or a MetaSpec for Adam along the gradient of the surrogate loss.
        goal_every: "task": new goals for the tasks of every iteration; "trajectory": for every trajectory.
        seed: of goals and samples.
        run_dir: a RunDirectory.
        resume: go on from what the run folder holds. Without it a begun training there is an error.
        tensorboard: write TensorBoard scalars into the run folder.
        label: names the run on the screen.

    Returns:
        Saved; its `validations` are the returns after adaptation, at the iteration whose parameters sampled them.

    Raises:
        UsageError: the run folder holds an unfinished training and `resume` is false.
        FloatingPointError: a policy or the update broke down, says in which iteration; the state saved before it stays.
    """
    saved = begun(run_dir, initial_params, meta.iterations, resume)
    scalars = scalar_writer(run_dir, tensorboard)
    step = _trust_region_step if isinstance(meta, TrustRegionSpec) else _adam_step(Adam(meta.learning_rate))
    with Progress(label, meta.iterations, saved.iteration) as progress, scalars.as_default():
        while saved.iteration < meta.iterations:
            started, iteration = time.monotonic(), saved.iteration
            rng = np.random.default_rng([seed, iteration])
            goals = None
            if goal_every == "task":
                goals = sampler.goal_distribution.sample(rng, sampler.num_tasks)
            # theta in float32, as it is saved
            theta = learner.objective.flat(saved.state.params).numpy().astype(np.float64)
            try:
                stages = list(learner.adaptation(theta, sampler, goals, [learner.step_size] * learner.num_steps, rng))
                state, update = step(learner, saved.state, theta, stages)
            except FloatingPointError as error:
                raise FloatingPointError(f"{label}: iteration {iteration}: {error}") from error
            before, after = stages[0].mean_return, stages[-1].mean_return
            saved.validated(iteration, saved.state.params, after)
            saved.state = state
            saved.losses.append([iteration + 1, update["loss"]])
            failures = sum(int(stage.trajectories.physics_failures.sum()) for stage in stages)
            saved.physics_failures += failures
            saved.seconds += time.monotonic() - started
            run_dir.write(saved)
            values = {"return_before": before, "return_after": after, **update, "physics_failures": failures}
            for name, value in values.items():
                tf.summary.scalar(name, value, step=iteration)
            progress.update(iteration + 1, before=before, after=after, best=saved.best_score)
    return saved


def _trust_region_step(learner, state, theta, stages):
    """(state after one update by TRPO, what it did by name)."""
    step = learner.update(theta, stages)
    params = learner.objective.unflat(tf.constant(step.theta, learner.policy.dtype))
    done = {"loss": step.loss_after, "kl": step.kl, "backtracks": step.backtracks}
    return state._replace(iteration=state.iteration + 1, params=params), done


def _adam_step(adam):
    """Plain policy gradient, by which the authors pretrained on 2D navigation (PROTOCOL 3.7)."""

    def step(learner, state, theta, stages):
        loss, gradient = learner.loss_and_gradient(theta, stages)
        gradients = learner.objective.unflat(tf.constant(gradient, learner.policy.dtype))
        return adam.apply(state, gradients), {"loss": loss}

    return step
