"""The policy for sampling: NumPy only, since a TensorFlow call for every lockstep would cost more than the physics."""

import math

import numpy as np

from maml_tf.errors import UsageError

MIN_LOG_STD = math.log(1e-6)
# With an array of zeros in place of the number 0, NumPy's maximum is four times as fast.
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, np.zeros(x.shape[1:], x.dtype), out=x),
    "tanh": lambda x: np.tanh(x, out=x),
}


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

    def act(self, observations, rng, live=None):
        """Draws actions with a NumPy generator.

        Args:
            observations: float32 [T, n, O]
            rng: draws the same noise for every `live`.
            live: bool [T, n], the rows whose actions are wanted, all by default; the other rows hold no actions.
                A row's mean does not depend on which other rows are live, up to float32 rounding: BLAS may add up the
                products of fewer rows in another order.

        Returns:
            float32 [T, n, A]

        Raises:
            FloatingPointError: the policies of some tasks, which the message names, give no finite actions.
        """
        T, n, _ = observations.shape
        live = np.ones((T, n), bool) if live is None else live
        actions = rng.standard_normal((T, n, self.params[0].shape[1]), dtype=np.float32)
        actions *= np.exp(np.maximum(self.params[0], MIN_LOG_STD))[:, np.newaxis]
        most = live.sum(axis=1).max()
        if most < n:
            # As many rows of every task as the task with the most live ones needs: in the end, where few trajectories
            # are still under way, that is most of the work saved. Never a single row: that is a matrix-vector product,
            # which BLAS rounds differently.
            first = np.argsort(~live, axis=1, kind="stable")[:, : max(most, 2)]
            rows = np.arange(T)[:, np.newaxis], first
            actions[rows] += self.means(observations[rows])
        else:
            actions += self.means(observations)
        finite = np.isfinite(actions)
        if not finite.all():
            tasks = np.flatnonzero((live & ~finite.all(axis=2)).any(axis=1))
            if tasks.size:
                raise FloatingPointError(f"no finite actions: the policies of tasks {tasks.tolist()} (of {T}) diverged")
        return actions
