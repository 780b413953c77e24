"""What the committed weights give on a few fixed tasks, with no data set needed."""

import functools
import hashlib
import pathlib

import numpy as np
import tensorflow as tf
from pins.rounding import pass_error
from synthetic_data import write_omniglot

from maml_tf.experiments.run import build_experiment
from maml_tf.experiments.spec import read_spec
from maml_tf.meta.functional import functional_call
from maml_tf.tasks import mini_imagenet
from maml_tf.tasks.sinusoid import AMPLITUDE, SinusoidTasks
from maml_tf.training.weights import read_weights

REPRODUCE = pathlib.Path(__file__).resolve().parents[2] / "reproduce"
SEED = (2017, 3)
IMAGE_TASKS, IMAGE_STEPS = 2, 3
# The pixels that each layer of a convolutional network is computed at.
POSITIONS = {"omniglot_conv": (14**2, 7**2, 4**2, 2**2, 1), "mini_imagenet_conv": (84**2, 42**2, 21**2, 10**2, 1)}
CLASSIFIED_IMAGES = 4
SINE_TASKS, SINE_SHOTS, SINE_STEPS = 3, 10, 5
TUNED_STEP_SIZE = 0.001  # where the spec tunes it: small enough for the oracle
OBSERVATIONS = 4
GOALS, ROLLOUT_STEPS = np.array([[0.4, -0.1], [-0.3, 0.3], [0.2, 0.45]]), 20


def checkpoints() -> dict[str, list[pathlib.Path]]:
    """{spec: its weight files}, sorted."""
    files = {}
    for path in sorted((REPRODUCE / "checkpoints").glob("*/*.npz")):
        files.setdefault(path.parent.name, []).append(path)
    return files


def write_images(folder: pathlib.Path) -> None:
    """Writes an Omniglot of random dots: every character has a pattern, which each of its drawings varies."""
    rng = np.random.default_rng(SEED)
    characters = rng.random((1623, 1, 28, 28, 1), np.float32) < 0.1
    drawings = characters ^ (rng.random((1623, 20, 28, 28, 1), np.float32) < 0.03)
    write_omniglot(folder, 255 * drawings.astype(np.uint8))


def numbers_of(spec_name: str, data_folder: pathlib.Path, jitter: float = 0.0, jitter_seed: int = 0) -> dict:
    """{file: {name: (array, the difference that rounding explains)}} of every weight file of a spec.

    Args:
        spec_name: a spec with committed weights.
        data_folder: where `write_images` wrote.
        jitter: change every parameter by up to this, relatively: how much does rounding matter?
        jitter_seed: of those changes.
    """
    spec = read_spec(REPRODUCE / "specs" / f"{spec_name}.yaml")
    if spec.method == "supervised":  # its experiment prepares the whole test: here the network is enough
        model = spec.model.build(spec.tasks.image_shape, mini_imagenet.CLASSES["train"])
        numbers = functools.partial(_classifier, spec, model)
    else:
        experiment = build_experiment(spec, spec.seeds[0], data_folder)
        model = experiment.model
        of_experiment = {"sinusoid": _sinusoid, "image_classification": _images, "reinforcement_learning": _policy}
        numbers = functools.partial(of_experiment[spec.experiment], experiment)
    rng = np.random.default_rng(jitter_seed)
    found = {}
    for path in checkpoints()[spec_name]:
        params = read_weights(path, model)
        params = [p * (1 + jitter * rng.uniform(-1, 1, p.shape)).astype(np.float32) for p in params]
        found[f"{spec_name}/{path.name}"] = numbers(params)
    return found


def sha256_of(spec_name: str) -> dict[str, str]:
    """{file: the SHA-256 of its content} of every weight file of a spec."""
    return {
        f"{spec_name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoints()[spec_name]
    }


def _sinusoid(experiment, params):
    """Root mean squared errors after 0, 1, ... steps, [tasks, steps + 1]: they inherit the error of the predictions."""
    spec, learner = experiment.spec, experiment.adapting
    tasks = SinusoidTasks(SINE_SHOTS, SINE_SHOTS, spec.tasks.reveal_task).sample(tf.constant(SEED), SINE_TASKS)
    step_size = TUNED_STEP_SIZE if spec.inner.step_size == "tuned" else spec.inner.step_size
    params = [tf.repeat(p[tf.newaxis], SINE_TASKS, axis=0) for p in params]
    after = learner.adapted_params(params, tasks.support_x, tasks.support_y, SINE_STEPS, step_size)
    errors = [learner.loss(tasks.query_y, learner.forward(p, tasks.query_x)) for p in after]
    error = (SINE_STEPS + 1) * pass_error(kernels(learner.model), SINE_SHOTS)
    return {"root_mean_squared_error": (np.sqrt(np.stack(errors, axis=1)), error * AMPLITUDE[1])}


def _images(experiment, params):
    """Logits of the query images after 0, 1, ... gradient steps, [tasks, steps + 1, N*Q, N]."""
    spec, learner = experiment.spec, experiment.learner
    tasks = experiment.episodes("test", spec.tasks.test_queries).sample(tf.constant(SEED), IMAGE_TASKS)
    logits = []
    for support_x, support_y, query_x, _ in zip(*tasks, strict=True):
        after = learner.adapted_params(params, support_x, support_y, IMAGE_STEPS)
        logits.append([learner.forward(p, query_x) for p in after])
    error = pass_error(kernels(learner.model), tasks.support_x.shape[1], POSITIONS.get(spec.model.network))
    return {"logits": (np.array(logits), (IMAGE_STEPS + 1) * error * _largest(logits))}


def _classifier(spec, model, params):
    """Logits [images, classes] of random images, with the batch statistics of these images."""
    images = np.random.default_rng(SEED).random((CLASSIFIED_IMAGES, *spec.tasks.image_shape), np.float32)
    logits = functional_call(model, params, images)
    error = pass_error(kernels(model), CLASSIFIED_IMAGES, POSITIONS[spec.model.network])
    return {"logits": (logits.numpy(), error * _largest(logits))}


def _policy(experiment, params):
    """Mean actions [n, A] and log deviations [A] for random observations, and on 2D navigation a return a goal."""
    model = experiment.model
    observations = np.random.default_rng(SEED).standard_normal((OBSERVATIONS, model.observation_size), np.float32)
    mean, log_std = functional_call(model, params, observations)
    error = pass_error(kernels(model), OBSERVATIONS)
    numbers = {
        "mean_action": (mean.numpy(), error * _largest(mean)),
        "log_std": (log_std.numpy()[0], error * _largest(log_std)),
    }
    if experiment.spec.tasks.environment == "point_navigation":  # each step starts where the one before ended
        returns = _returns(experiment, params)
        numbers["return"] = returns, ROLLOUT_STEPS * error * _largest(returns)
    return numbers


def _returns(experiment, params):
    """Returns of the mean actions for a few time steps, without the noise of the policy, [goals]: in NumPy alone."""
    envs = experiment.make_envs(len(GOALS))
    actor = experiment.model.actor([tf.repeat(p[tf.newaxis], len(GOALS), axis=0) for p in params])
    observations, _ = envs.reset(seed=0, options={"goal": GOALS})
    returns = np.zeros(len(GOALS))
    for _ in range(ROLLOUT_STEPS):
        actions = actor.means(observations[:, np.newaxis].astype(np.float32))[:, 0]
        observations, rewards, *_ = envs.step(actions)
        returns += rewards
        if not envs.active.any():
            break
    return returns


def _largest(values):
    return float(np.abs(values).max())


def kernels(model):
    return [tuple(variable.shape) for variable in model.trainable_variables if variable.name == "kernel"]
