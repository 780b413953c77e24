"""MAML for a ReLU network with mean squared error, by hand in NumPy: slow, plain, float64.

Second derivatives are Hessian-vector products by Pearlmutter's R-operator (1994): every line of the forward and the
backward pass differentiated once more along a direction.
"""

import numpy as np


def forward(params, x):
    """Activations of every layer; params is [W1, b1, W2, b2, ...]."""
    layers = [x]
    for W, b in zip(params[::2], params[1::2], strict=True):
        z = layers[-1] @ W + b
        is_output = len(layers) == len(params) // 2
        layers.append(z if is_output else np.maximum(z, 0.0))
    return layers


def loss(params, x, y):
    """The mean squared error."""
    return np.mean((forward(params, x)[-1] - y) ** 2)


def gradient(params, x, y):
    """The gradient of the loss, by backpropagation."""
    layers = forward(params, x)
    delta = 2 * (layers[-1] - y) / y.size
    gradients = []
    for index in reversed(range(len(params) // 2)):
        gradients = [layers[index].T @ delta, delta.sum(axis=0), *gradients]
        if index:
            delta = (delta @ params[2 * index].T) * (layers[index] > 0)
    return gradients


def hessian_vector_product(params, x, y, direction):
    """H v: the derivative of the gradient along `direction`."""
    layers = forward(params, x)
    count = len(params) // 2
    r_layers = [np.zeros_like(x)]
    for index in range(count):
        r = r_layers[-1] @ params[2 * index] + layers[index] @ direction[2 * index] + direction[2 * index + 1]
        r_layers.append(r if index == count - 1 else r * (layers[index + 1] > 0))
    delta, r_delta = 2 * (layers[-1] - y) / y.size, 2 * r_layers[-1] / y.size
    product = []
    for index in reversed(range(count)):
        product = [
            r_layers[index].T @ delta + layers[index].T @ r_delta,
            r_delta.sum(axis=0),
            *product,
        ]
        if index:
            open_units = layers[index] > 0
            W, V = params[2 * index], direction[2 * index]
            delta, r_delta = (delta @ W.T) * open_units, (r_delta @ W.T + delta @ V.T) * open_units
    return product


def adapted(params, x, y, step_size, num_steps):
    """Parameters before and after every inner step: num_steps + 1 lists."""
    path = [params]
    for _ in range(num_steps):
        path.append([p - step_size * g for p, g in zip(path[-1], gradient(path[-1], x, y), strict=True)])
    return path


def meta_loss(params, tasks, step_size, num_steps):
    """The mean query loss after adaptation; tasks is a list of (support_x, support_y, query_x, query_y)."""
    return np.mean([loss(adapted(params, a, b, step_size, num_steps)[-1], c, d) for a, b, c, d in tasks])


def meta_gradient(params, tasks, step_size, num_steps, first_order=False):
    """The gradient of `meta_loss`: (I - alpha H_0) ... (I - alpha H_last) times the query gradient, averaged."""
    total = [np.zeros_like(p) for p in params]
    for support_x, support_y, query_x, query_y in tasks:
        path = adapted(params, support_x, support_y, step_size, num_steps)
        v = gradient(path[-1], query_x, query_y)
        for theta in reversed(path[:-1]):
            if not first_order:
                hv = hessian_vector_product(theta, support_x, support_y, v)
                v = [a - step_size * b for a, b in zip(v, hv, strict=True)]
        total = [t + a / len(tasks) for t, a in zip(total, v, strict=True)]
    return total
