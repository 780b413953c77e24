"""Computing the iteration that was not finite again, number by number: `maml_tf replay`."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.experiments.base import CompiledExperiment
from maml_tf.experiments.rl import ReinforcementLearningExperiment
from maml_tf.experiments.run import Path, build_experiment, run_directory_of
from maml_tf.experiments.spec import ExperimentSpec
from maml_tf.rl.training import run_iteration
from maml_tf.tasks.base import TaskBatch
from maml_tf.training.checkpoint import Checkpoint
from maml_tf.training.divergence import is_finite, label_problem, read_kept


def replay(spec: ExperimentSpec, *, runs_folder: Path, data_folder: Path | None) -> Iterator[str]:
    """Runs the iteration after the saved state of a training that stopped because something was not finite.

    Args:
        spec: of the training, with one seed.
        runs_folder, data_folder: see `maml_tf.experiments.run.train`.

    Yields:
        Lines for the screen: the losses task by task, and each parameter with its gradient.

    Raises:
        UsageError: there is no state, no kept iteration, or the experiment has no iterations.
    """
    seed = spec.seeds[0]
    run_dir = run_directory_of(spec, seed, runs_folder)
    if not run_dir.exists():
        raise UsageError(f"{run_dir.path}: no training of {spec.name} was started there")
    checkpoint = run_dir.read()
    experiment = build_experiment(spec, seed, data_folder)
    yield f"{experiment.label}: the state after {checkpoint.iteration} iterations, from {run_dir.path}"
    if isinstance(experiment, CompiledExperiment):
        yield from _replay_batch(experiment, checkpoint, read_kept(run_dir))
    elif isinstance(experiment, ReinforcementLearningExperiment):
        yield from _replay_sampling(experiment, checkpoint)
    else:
        raise UsageError(f"{spec.name}: {spec.method!r} is not trained by iterations, so there is none to replay")


def _replay_batch(experiment: CompiledExperiment, checkpoint: Checkpoint, kept) -> Iterator[str]:
    if int(kept["iteration"]) != checkpoint.iteration:
        yield f"the kept tasks are of iteration {int(kept['iteration'])}: the state is another one"
    learner, params = experiment.learner, checkpoint.state.params
    tasks = [tf.constant(kept[f"batch_{index}"]) for index in range(4)]
    batch = TaskBatch(*tasks)
    for name, values in zip(TaskBatch._fields, tasks, strict=True):
        yield f"{name}: {values.dtype.name} {list(values.shape)}, {_described(values)}"
    if problem := label_problem(learner, params, batch):
        yield f"labels: {problem.removeprefix('; ')}"
    for task in range(batch.num_tasks):
        loss, gradients = learner.meta_gradient(params, batch.tasks(task, task + 1))
        finite = is_finite(loss) and is_finite(gradients)
        yield f"task {task}: meta-loss {float(loss):.6g}{'' if finite else '  <- not finite, or its gradient is not'}"
    loss, gradients = learner.meta_gradient(params, batch)
    yield f"all tasks: meta-loss {float(loss):.6g}"
    for name, param, gradient in zip(learner.param_names, params, gradients, strict=True):
        yield f"{name} {list(param.shape)}: {_described(param)}; gradient {_described(gradient)}"


def _replay_sampling(experiment: ReinforcementLearningExperiment, checkpoint: Checkpoint) -> Iterator[str]:
    tasks = experiment.spec.tasks
    try:
        done = run_iteration(
            experiment.learner.iteration, experiment.sampler(), checkpoint.state, tasks.goal_every, experiment.seed
        )
    except FloatingPointError as error:
        yield f"iteration {checkpoint.iteration}: {error}"
    else:
        yield f"iteration {checkpoint.iteration}: finite. Returns {done.returns}, {done.metrics}"
    for name, param in zip(experiment.learner.param_names, checkpoint.state.params, strict=True):
        yield f"{name} {list(param.shape)}: {_described(param)}"


def _described(tensor: tf.Tensor) -> str:
    values = np.asarray(tensor)
    finite = values[np.isfinite(values)]
    size = f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "no finite value"
    broken = values.size - finite.size
    return size + (f", {broken} of {values.size} not finite" if broken else "")
