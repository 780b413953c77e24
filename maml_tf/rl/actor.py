"""The policy for sampling: NumPy only, since a TensorFlow call for every lockstep would cost more than the physics."""

import math

import numpy as np

from maml_tf.errors import UsageError

SMALLEST_LOG_STD = math.log(1e-6)
ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0, out=x), "tanh": lambda x: np.tanh(x, out=x)}


class Actor:
    """T Gaussian policies (PROTOCOL 3.1), one a task, that draw actions.

    Args:
        params: in the order of `GaussianPolicy.parameters()`: the log standard deviation [T, A], then kernel
            [T, in, out] and bias [T, out] of every layer.
        activation: of the hidden layers, "relu" or "tanh".

    Raises:
        UsageError: another activation.
    """

    def __init__(self, params, activation="relu"):
        if activation not in ACTIVATIONS:
            raise UsageError(f"activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
        self.activation = activation
        self.params = [np.asarray(p, np.float32) for p in params]

    def tasks(self, start, stop):
        """The Actor of the tasks start..stop-1."""
        return Actor([p[start:stop] for p in self.params], self.activation)

    def means(self, observations):
        """The means of the actions: observations float32 [T, n, O] -> [T, n, A]."""
        x = observations
        kernels, biases = self.params[1::2], self.params[2::2]
        for layer, (kernel, bias) in enumerate(zip(kernels, biases, strict=True), 1):
            x = np.matmul(x, kernel)
            x += bias[:, np.newaxis]
            if layer < len(kernels):
                x = ACTIVATIONS[self.activation](x)
        return x

    def act(self, observations, rng):
        """Draws actions with a NumPy generator: observations float32 [T, n, O] -> actions float32 [T, n, A].

        Raises:
            FloatingPointError: the policies of some tasks, which the message names, give no finite actions.
        """
        means = self.means(observations)
        noise = rng.standard_normal(means.shape, dtype=np.float32)
        noise *= np.exp(np.maximum(self.params[0], SMALLEST_LOG_STD))[:, np.newaxis]
        actions = means + noise
        if not np.isfinite(actions).all():
            tasks = np.flatnonzero(~np.isfinite(actions).all(axis=(1, 2)))
            raise FloatingPointError(
                f"no finite actions: the policies of tasks {tasks.tolist()} (of {len(actions)}) diverged"
            )
        return actions
