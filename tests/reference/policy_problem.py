"""Random samples of policies, and the meta-objective of a small policy on them, for the tests of what learns from
samples."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.rl.categorical_policy import CategoricalPolicy
from maml_tf.rl.maml_trpo import AdaptationStep
from maml_tf.rl.meta_objective import MetaObjective
from maml_tf.rl.policy import GaussianPolicy, Policy
from maml_tf.rl.policy_gradient import policy_batch
from maml_tf.rl.sampling.numpy_policy import GaussianActor
from maml_tf.rl.sampling.trajectories import Trajectories

ALPHA = 0.3
# Gaussian policies: (inner steps, length of the context vector, by the likelihood ratio, activation)
GAUSSIAN_CASES = [
    pytest.param((0, 0, False, "tanh"), id="no inner step"),
    pytest.param((1, 0, False, "tanh"), id="one inner step"),
    pytest.param((2, 0, False, "tanh"), id="two inner steps"),
    pytest.param((2, 3, False, "tanh"), id="two inner steps of a context vector"),
    pytest.param((1, 0, True, "tanh"), id="one inner step by the likelihood ratio"),
    pytest.param((2, 3, True, "tanh"), id="two inner steps of a context vector by the likelihood ratio"),
    pytest.param((1, 0, False, "relu"), id="one inner step through ReLUs"),
    pytest.param((2, 3, True, "relu"), id="two inner steps of a context vector by the likelihood ratio through ReLUs"),
]

# Categorical policies, the same and the class
CATEGORICAL_CASES = [
    pytest.param((0, 0, False, "tanh", CategoricalPolicy), id="categorical, no inner step"),
    pytest.param((1, 0, False, "tanh", CategoricalPolicy), id="categorical, one inner step"),
    pytest.param((2, 3, True, "tanh", CategoricalPolicy), id="categorical, two of a context vector by the ratio"),
    pytest.param((1, 0, True, "relu", CategoricalPolicy), id="categorical, one by the ratio through ReLUs"),
]
CASES = GAUSSIAN_CASES + CATEGORICAL_CASES


def random_trajectories(
    seed: int,
    num_tasks: int = 3,
    budget: int = 40,
    observation_size: int = 3,
    action_size: int = 2,
    padding: float = np.nan,
) -> Trajectories:
    """Trajectories of random lengths; the unused end of each task's row holds `padding`."""
    rng = np.random.default_rng(seed)
    samples = Trajectories.empty(num_tasks, budget, observation_size, action_size)
    for array in samples[:3]:
        array[:] = rng.normal(size=array.shape)
    for task in range(num_tasks):
        start = 0
        while (length := int(rng.integers(1, 12))) <= budget - start:
            samples.steps[task, start : start + length] = np.arange(length)
            samples.mask[task, start : start + length] = True
            samples.last[task, start + length - 1] = True
            start += length
        for array in samples[:2]:
            array[task, start:] = padding
        samples.rewards[task, start:] = 0.0
    return samples


def random_actor(num_tasks: int, observation_size: int, action_size: int, seed: int = 0) -> GaussianActor:
    """Small random Gaussian policies."""
    rng = np.random.default_rng(seed)
    sizes = (observation_size, 8, 8, action_size)
    layers = [
        array
        for inputs, outputs in itertools.pairwise(sizes)
        for array in (rng.normal(size=(num_tasks, inputs, outputs)), rng.normal(size=(num_tasks, outputs)))
    ]
    return GaussianActor([0.1 * rng.normal(size=(num_tasks, action_size)), *layers])


class Problem:
    """Three tasks' random samples before and after `num_steps` inner steps of a small policy, in float64."""

    def __init__(
        self,
        num_steps: int,
        context_size: int = 0,
        likelihood_ratio: bool = False,
        activation: str = "tanh",
        policy_class: type[Policy] = GaussianPolicy,
        padding: float = 0.0,
        theta: np.ndarray | None = None,
    ):
        self.policy = policy_class(3, 2, (5, 4), activation, context_size, dtype="float64")
        self.objective = MetaObjective(self.policy, ALPHA, likelihood_ratio)
        random_theta = np.random.default_rng(7).normal(size=sum(self.objective.sizes)) / 2
        self.theta = random_theta if theta is None else theta
        self.samples = [random_trajectories(seed, padding=padding) for seed in range(num_steps + 1)]
        if self.policy.discrete_actions:
            for samples in self.samples:
                actions = np.eye(2)[(samples.actions[..., 0] > 0).astype(int)]
                samples.actions[samples.mask] = actions[samples.mask]
        params, self.steps = tf.tile(tf.constant(self.theta)[tf.newaxis], [3, 1]), []
        for samples in self.samples:
            batch = policy_batch(samples, "float64")
            self.steps.append(AdaptationStep(params, None, samples, batch))
            params = self.objective.adapted(params, batch, tf.constant(ALPHA, "float64"))
        self.batches = self.earlier, self.later, self.old = self.objective.batches(self.steps)

    def loss_and_kl(self, theta: np.ndarray) -> tuple[float, float]:
        loss, kl = self.objective.loss_and_kl(tf.constant(theta), *self.batches)
        return float(loss), float(kl)

    def loss_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = self.objective.loss_and_gradient(tf.constant(theta), *self.batches)
        return float(loss), gradient.numpy()

    def kl_gradient(self, theta: np.ndarray) -> np.ndarray:
        return self.objective.kl_gradient(tf.constant(theta), *self.batches).numpy()

    def fisher_product(self, v: np.ndarray) -> np.ndarray:
        """By double backpropagation."""
        return self.objective.fisher_product(tf.constant(self.theta), tf.constant(v), *self.batches).numpy()
