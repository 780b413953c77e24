"""Policies for sampling, in NumPy alone: calling TensorFlow in every lockstep would take longer than the physics."""

import abc
import math
from collections.abc import Sequence

import numpy as np

from maml_tf.errors import UsageError

MIN_LOG_STD = math.log(1e-6)
# NumPy's maximum with an array of zeros is faster than with the number 0.
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, np.zeros(x.shape[1:], x.dtype), out=x),
    "tanh": lambda x: np.tanh(x, out=x),
}


class Actor(abc.ABC):
    """The policies of T tasks, which draw actions: noise is added to the outputs of each task's network.

    Args:
        params: of the policy, with a task axis; the last ones are kernel [T, in, out] and bias [T, out] of every layer.
        activation: of the hidden layers, "relu" or "tanh".

    Raises:
        UsageError: the activation is not known.
    """

    def __init__(self, params: Sequence[np.ndarray], activation: str = "relu"):
        if activation not in ACTIVATIONS:
            raise UsageError(f"activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
        self.activation = activation
        self.params = [np.asarray(p, np.float32) for p in params]

    @property
    @abc.abstractmethod
    def layers(self) -> list[np.ndarray]:
        """Kernel and bias of every layer: those of `params` that belong to the network."""

    @abc.abstractmethod
    def _noise(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
        """Noise float32 [T, n, A] to add to the network's outputs."""

    def _actions(self, outputs: np.ndarray) -> np.ndarray:
        """The actions [T, n, A] that outputs with noise stand for."""
        return outputs

    def tasks(self, start: int, stop: int) -> "Actor":
        """The Actor of the tasks start..stop-1."""
        return type(self)([p[start:stop] for p in self.params], self.activation)

    def outputs(self, observations: np.ndarray) -> np.ndarray:
        """The networks' outputs: observations float32 [T, n, O] -> [T, n, A]."""
        x = observations
        kernels, biases = self.layers[::2], self.layers[1::2]
        for layer, (kernel, bias) in enumerate(zip(kernels, biases, strict=True), 1):
            x = np.matmul(x, kernel)
            x += bias[:, np.newaxis]
            if layer < len(kernels):
                x = ACTIVATIONS[self.activation](x)
        return x

    def act(self, observations: np.ndarray, rng: np.random.Generator, active: np.ndarray | None = None) -> np.ndarray:
        """Draws actions.

        Args:
            observations: float32 [T, n, O]
            rng: draws the same noise for every `active`.
            active: bool [T, n], the rows whose actions are wanted, all by default. The other rows hold no actions.
                The outputs of a row do not depend on which other rows are active, up to float32 rounding: BLAS may add
                up the products of fewer rows in another order.

        Returns:
            float32 [T, n, A]

        Raises:
            FloatingPointError: the policies of some tasks, which the message names, give no finite actions.
        """
        T, n, _ = observations.shape
        active = np.ones((T, n), bool) if active is None else active
        outputs = self._noise(rng, (T, n, self.layers[-1].shape[-1]))
        most = active.sum(axis=1).max()
        if most < n:
            # For every task as many rows as the task with the most active ones has. This saves most of the work at the
            # end of sampling, where few trajectories are still running. Never a single row: that is a matrix-vector
            # product, which BLAS rounds differently.
            first = np.argsort(~active, axis=1, kind="stable")[:, : max(most, 2)]
            rows = np.arange(T)[:, np.newaxis], first
            outputs[rows] += self.outputs(observations[rows])
        else:
            outputs += self.outputs(observations)
        finite = np.isfinite(outputs)
        if not finite.all():
            tasks = np.flatnonzero((active & ~finite.all(axis=2)).any(axis=1))
            if tasks.size:
                raise FloatingPointError(f"no finite actions: the policies of tasks {tasks.tolist()} (of {T}) diverged")
        return self._actions(outputs)


class CategoricalActor(Actor):
    """The Actor of T `CategoricalPolicy`s: actions are one-hot vectors.

    It draws by the Gumbel-max trick: the largest of logits with independent Gumbel noise has the softmax's
    probabilities.

    Args:
        params: kernel and bias of every layer.
        activation: see Actor.
    """

    @property
    def layers(self):
        return self.params

    def _noise(self, rng, shape):
        return rng.gumbel(size=shape).astype(np.float32)

    def _actions(self, outputs):
        return np.eye(outputs.shape[-1], dtype=np.float32)[outputs.argmax(axis=-1)]


class GaussianActor(Actor):
    """The Actor of T `GaussianPolicy`s (PROTOCOL 3.1).

    Args:
        params: the log standard deviation [T, A], then kernel and bias of every layer.
        activation: see Actor.
    """

    @property
    def layers(self):
        return self.params[1:]

    def means(self, observations: np.ndarray) -> np.ndarray:
        """The means of the actions: observations float32 [T, n, O] -> [T, n, A]."""
        return self.outputs(observations)

    def _noise(self, rng, shape):
        noise = rng.standard_normal(shape, dtype=np.float32)
        noise *= np.exp(np.maximum(self.params[0], MIN_LOG_STD))[:, np.newaxis]
        return noise
