"""JAX as a peer: the whole meta-gradient under `jit`, the tasks under `vmap` or one after the other in `lax.map`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.benchmark import (
    Arrays,
    Benchmark,
    batch_of,
    hidden_layers,
    repeated,
    split_adaptable,
    versions_of,
    weights_of,
)

NORM_EPSILON = 1e-3
BLOCKS = (1, 2, 3, 4)


def prepare(name: str, problem: dict[str, Any], arrays: Arrays) -> Benchmark:
    """See `benchmarks.implementations`."""
    jax.config.update("jax_enable_x64", arrays["support_x"].dtype == np.float64)
    weights = {key: jnp.asarray(value) for key, value in weights_of(problem, arrays).items()}
    batch = [jnp.asarray(array) for array in batch_of(arrays)]

    def meta_loss(weights, batch):
        def task_loss(task):
            return _task_loss(problem, weights, *task)

        losses = jax.vmap(task_loss)(batch) if name == "jax_vmap" else lax.map(task_loss, batch)
        return losses.mean()

    if problem["kind"] == "training":
        return _training(problem, weights, meta_loss)
    gradient = jax.jit(jax.grad(meta_loss))
    return Benchmark(
        repeated(lambda: jax.block_until_ready(gradient(weights, batch))),
        lambda gradients: [np.asarray(gradients[key]) for key in problem["names"]],
    )


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    return versions_of("jax", "jaxlib", "numpy")


def _task_loss(problem, weights, support_x, support_y, query_x, query_y):
    adaptable, fixed = split_adaptable(problem, weights)

    def support_loss(adaptable):
        return _loss(problem, support_y, _forward(problem["network"], adaptable | fixed, support_x))

    for _ in range(problem["steps"]):
        gradients = jax.grad(support_loss)(adaptable)
        if problem["first_order"]:
            gradients = lax.stop_gradient(gradients)
        adaptable = {key: value - problem["step_size"] * gradients[key] for key, value in adaptable.items()}
    return _loss(problem, query_y, _forward(problem["network"], adaptable | fixed, query_x))


def _loss(problem, y, predictions):
    if "shots" not in problem:
        return jnp.mean(jnp.square(predictions - y))
    return -jnp.take_along_axis(jax.nn.log_softmax(predictions), y[:, None], axis=1).sum() / problem["shots"]


def _forward(network, weights, x):
    if network == "mlp":
        x = x.reshape(x.shape[0], -1)
        for i in hidden_layers(weights):
            x = x @ weights[f"dense_{i}/kernel"] + weights[f"dense_{i}/bias"]
            if f"norm_{i}/beta" in weights:
                x = _normalize(x, weights[f"norm_{i}/beta"])
            x = jax.nn.relu(x)
        return x @ weights["output/kernel"] + weights["output/bias"]
    stride = 2 if network == "omniglot_conv" else 1
    for i in BLOCKS:
        kernel = weights[f"conv_{i}/kernel"]
        x = lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(_normalize(x + weights[f"conv_{i}/bias"], weights[f"norm_{i}/beta"]))
        if network == "mini_imagenet_conv":
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.mean((1, 2)) if network == "omniglot_conv" else x.reshape(x.shape[0], -1)
    return x @ weights["output/kernel"] + weights["output/bias"]


def _normalize(x, beta):
    axes = tuple(range(x.ndim - 1))
    centred = x - x.mean(axes)
    return centred * lax.rsqrt(jnp.square(centred).mean(axes) + NORM_EPSILON) + beta


def _training(problem, weights, meta_loss):
    """The training loop as one compiled function: sampling, meta-gradient and Adam, n iterations per call."""
    beta1, beta2, epsilon, n = 0.9, 0.999, 1e-8, problem["support"]

    def sample(key):
        amplitude_key, phase_key, x_key = jax.random.split(key, 3)
        T = problem["tasks"]
        amplitude = jax.random.uniform(amplitude_key, (T, 1, 1), minval=0.1, maxval=5.0)
        phase = jax.random.uniform(phase_key, (T, 1, 1), maxval=jnp.pi)
        x = jax.random.uniform(x_key, (T, n + problem["queries"], 1), minval=-5.0, maxval=5.0)
        y = amplitude * jnp.sin(x - phase)
        return x[:, :n], y[:, :n], x[:, n:], y[:, n:]

    def iteration(i, state):
        weights, first, second = state
        gradients = jax.grad(meta_loss)(weights, sample(jax.random.fold_in(jax.random.key(1), i)))
        rate = problem["learning_rate"] * jnp.sqrt(1 - beta2 ** (i + 1)) / (1 - beta1 ** (i + 1))
        first = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, first, gradients)
        second = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, second, gradients)
        weights = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + epsilon), weights, first, second)
        return weights, first, second

    zeros = jax.tree.map(jnp.zeros_like, weights)
    loop = jax.jit(lambda n: lax.fori_loop(0, n, iteration, (weights, zeros, zeros)))
    return Benchmark(lambda n: jax.block_until_ready(loop(n)))
