"""What a few iterations of training give, for every experiment and method, with no data set needed.

A case is a spec at its smoke profile with a few changes. They keep apart what a rounding changes and what it decides:

* One to three iterations. Adam's first steps have the size of the learning rate for small and large gradients. Where a
  gradient is as small as its rounding error, that error decides the step's sign. On mini-ImageNet and with a context
  vector the second iteration amplifies such steps too much to be pinned.
* TRPO with a large damping. Its conjugate gradient amplifies errors by the condition number of the Fisher matrix.
* Locomotion with a short horizon, because contacts amplify a rounding exponentially in time. MAML gets more time steps
  than its value baseline has features: with fewer the baseline fits the returns exactly, and the advantages are
  rounding errors. On half-cheetah rounding decides in the second iteration.
"""

import contextlib
import dataclasses
import functools
import io
import pathlib
import tempfile
from unittest import mock

import numpy as np
import tensorflow as tf
from pins.rounding import UNIT_ROUNDOFF, pass_error, switched_error
from pins.weights import POSITIONS, kernels
from synthetic_data import FEW_IMAGES, write_mini_imagenet, write_omniglot

from maml_tf.experiments import run
from maml_tf.experiments.rl_spec import TrustRegionSpec
from maml_tf.experiments.spec import MetaSpec, read_spec
from maml_tf.tasks import mini_imagenet

SPECS = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs"
SEED, IMAGE_SEED = 1, 2017
LOCOMOTION_HORIZON = 8
DAMPING = 1.0
# {spec: changes of its smoke profile by dotted keys}
CASES = {
    "sinusoid_maml": {"meta.iterations": 3},
    "sinusoid_pretrained": {"meta.iterations": 3},
    "sinusoid_oracle": {"meta.iterations": 3},
    "sinusoid_multitask_l2_reg": {"multitask.regressors": 2, "multitask.max_steps": 3},
    "sinusoid_multitask_reg_to_mean": {"multitask.regressors": 2, "multitask.max_steps": 3},
    "omniglot_5way_1shot_nonconv": {"validation": None},
    "omniglot_5way_1shot_conv": {"validation": None},
    "omniglot_5way_1shot_context_vector": {"validation": None, "meta.iterations": 1},
    "miniimagenet_5way_1shot_maml": {"validation": None, "meta.iterations": 1, "inner.train_steps": 2},
    "miniimagenet_5way_1shot_maml_first_order": {"validation": None, "meta.iterations": 1, "inner.train_steps": 2},
    "miniimagenet_5way_baselines": {"meta.iterations": 1},
    "point_navigation_maml": {},
    "point_navigation_pretrained": {},
    "point_navigation_context_vector": {},
    "half_cheetah_direction_maml": {"meta.iterations": 1, "meta.batch_size": 2, "tasks.trajectories": 60},
    "ant_direction_maml": {"meta.batch_size": 2, "tasks.trajectories": 60},
    "ant_velocity_oracle": {},
}


def write_images(folder: pathlib.Path) -> None:
    """Writes an Omniglot of random dots and a mini-ImageNet of noisy squares, a pattern for every class."""
    rng = np.random.default_rng(IMAGE_SEED)
    characters = rng.random((1623, 1, 28, 28, 1), np.float32) < 0.1
    drawings = characters ^ (rng.random((1623, 20, 28, 28, 1), np.float32) < 0.03)
    write_omniglot(folder, 255 * drawings.astype(np.uint8))

    def images_of(_, classes):
        patterns = rng.integers(0, 32, (classes, 1, 6, 6, 3), np.uint8).repeat(14, axis=2).repeat(14, axis=3)
        return patterns + rng.integers(0, 224, (classes, FEW_IMAGES, 84, 84, 3), np.uint8)

    write_mini_imagenet(folder, images_of)


def numbers_of(name: str, data_folder: pathlib.Path, jitter: float = 0.0, jitter_seed: int = 0) -> dict:
    """Trains a case; {name: (array, the difference that rounding explains)}.

    Args:
        name: of the case, a key of CASES.
        data_folder: where `write_images` wrote.
        jitter: change every initial parameter by up to this, relatively: how much does rounding matter?
        jitter_seed: of those changes.

    Returns:
        losses: one an iteration.
        validations: what the training judges its models by; returns in reinforcement learning.
        moved: the norm of each parameter's way from its initial value.
        moment_norms, moment_sums: of Adam's first moments, one a parameter; where training is by Adam.
    """
    spec = _changed(read_spec(SPECS / f"{name}.yaml", "smoke"), CASES[name])
    with mock.patch.object(mini_imagenet, "IMAGES_PER_CLASS", FEW_IMAGES):
        experiment = run.build_experiment(spec, SEED, data_folder)
    if spec.experiment == "reinforcement_learning" and spec.tasks.environment != "point_navigation":
        experiment.make_envs = functools.partial(experiment.make_envs, max_episode_steps=LOCOMOTION_HORIZON)
    if spec.method != "multitask" and isinstance(spec.meta, TrustRegionSpec):
        learner = experiment.learner
        learner.trust_region = dataclasses.replace(learner.trust_region, damping=DAMPING)
    rng = np.random.default_rng(jitter_seed)

    def jittered(params):
        factors = [1 + jitter * rng.uniform(-1, 1, p.shape) for p in params]
        return [tf.constant((p.numpy() * f).astype(np.float32)) for p, f in zip(params, factors, strict=True)]

    if spec.method == "multitask":  # averages regressors, which each start from other parameters
        initial = [np.zeros(v.shape, np.float32) for v in experiment.model.trainable_variables]
        fresh = experiment._fresh
        experiment._fresh = lambda *arguments: jittered(fresh(*arguments))
    else:
        initial = jittered(experiment.learner.initial_params())
        experiment.learner.initial_params = lambda: initial
    with (
        tempfile.TemporaryDirectory() as runs,
        mock.patch.object(run, "build_experiment", return_value=experiment),
        mock.patch.object(mini_imagenet, "IMAGES_PER_CLASS", FEW_IMAGES),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        run.train(spec, SEED, runs_folder=runs, data_folder=data_folder)
        (state_file,) = pathlib.Path(runs).rglob("state.npz")
        with np.load(state_file) as archive:
            state = dict(archive)
    return _numbers(spec, experiment, initial, state)


def _numbers(spec, experiment, initial, state):
    """See `numbers_of`; `state` is the content of state.npz."""
    model, error = experiment.model, _error(spec, experiment)
    params, moments = (
        [state[f"{name}_{index}"].astype(np.float64) for index in range(len(initial))] for name in ("params", "first")
    )
    losses, validations = state["losses"][:, 1], state["validations"][:, 1]
    # The surrogate loss of a policy is a mean of advantages, which have a standard deviation of 1.
    numbers = {"losses": (losses, error * (1.0 if spec.experiment == "reinforcement_learning" else _largest(losses)))}
    numbers["validations"] = validations, error * _largest(validations)
    moved = _norms([p - before for p, before in zip(params, initial, strict=True)])
    stored = spec.iterations * UNIT_ROUNDOFF * _norms(params)  # each iteration rounds the new parameters
    if spec.method != "multitask" and isinstance(spec.meta, MetaSpec):
        sizes = np.array([m.size for m in moments])
        errors = error * _scales(model, moments) + _switched(spec, experiment) * _norms(moments) / np.sqrt(sizes)
        spread = errors * np.sqrt(sizes)  # the norm of as many errors of that size
        numbers["moment_norms"] = _norms(moments), spread
        numbers["moment_sums"] = np.array([m.sum() for m in moments]), error * _sums(moments) + spread
        numbers["moved"] = moved, _norms(_undecided_steps(spec, moments, errors)) + stored
    else:
        numbers["moved"] = moved, error * moved + stored
    return {name: found for name, found in numbers.items() if found[0].size}


def _undecided_steps(spec, moments, errors):
    """For each entry of each parameter the part of Adam's steps that rounding decides.

    A step has about the size of the learning rate and the sign of the moment. A moment that is off by the error of its
    parameter changes it by that share of itself, and at most turns it around. Gradients that are zero by construction
    stay zero.
    """
    way = spec.meta.learning_rate * spec.meta.iterations
    return [
        way * np.minimum(2.0, error / np.where(m == 0, np.inf, np.abs(m)))
        for m, error in zip(moments, errors, strict=True)
    ]


def _scales(model, moments):
    """The largest entry of each moment, and of a bias that of its kernel, if it is larger.

    The gradient of a bias before batch norm is zero up to the rounding of the terms that make its kernel's gradient.
    """
    largest = np.array([_largest(m) for m in moments])
    return np.array(
        [
            max(largest[index - 1 : index + 1]) if variable.name == "bias" else largest[index]
            for index, variable in enumerate(model.trainable_variables)
        ]
    )


def _error(spec, experiment):
    """The relative error of a training's numbers: that of a pass, times the passes that follow each other.

    An inner step is one pass, and two more when it is differentiated again. TRPO's step is ten products with the Fisher
    matrix of two passes each, the gradient, and the loss in its line search.
    """
    shapes, positions, steps = kernels(experiment.model), POSITIONS.get(spec.model.network), spec.inner.train_steps
    if spec.method == "multitask":
        return spec.multitask.max_steps * pass_error(shapes, spec.multitask.batch_size)
    if spec.experiment == "reinforcement_learning":
        horizon = experiment.make_envs(1).max_episode_steps
        passes = 3 * steps + (22 if isinstance(spec.meta, TrustRegionSpec) else 1)
        return spec.iterations * passes * pass_error(shapes, spec.meta.batch_size * spec.tasks.trajectories * horizon)
    if spec.method == "supervised":
        return spec.iterations * pass_error(shapes, spec.meta.batch_size, positions)
    if spec.experiment == "sinusoid":
        support, query = spec.tasks.shots, spec.tasks.queries
    else:
        support, query = spec.tasks.ways * spec.tasks.shots, spec.tasks.ways * spec.tasks.train_queries
    inner = (1 if spec.inner.first_order else 3) * steps * pass_error(shapes, support, positions)
    return spec.iterations * (inner + pass_error(shapes, query, positions))


def _switched(spec, experiment):
    """The relative change of a training's gradients by what rounding decides, in the passes that follow each other.

    It is for networks with batch norm. Those without have so few units and examples here that none is decided.
    """
    if spec.experiment != "image_classification":
        return 0.0
    passes = 1 if spec.method == "supervised" else spec.inner.train_steps + 1
    pooled = spec.model.network == "mini_imagenet_conv"
    return spec.iterations * passes * switched_error(kernels(experiment.model), pooled)


def _norms(arrays):
    return np.array([np.linalg.norm(array) for array in arrays])


def _sums(arrays):
    return np.array([np.abs(array).sum() for array in arrays])


def _largest(values):
    return np.abs(values).max(initial=0.0)


def _changed(spec, changes):
    """A spec with other values at dotted keys."""
    for dotted, value in changes.items():
        *section, key = dotted.split(".")
        if section:
            value = dataclasses.replace(getattr(spec, section[0]), **{key: value})
            key = section[0]
        spec = dataclasses.replace(spec, **{key: value})
    return spec
