"""PyTorch as a peer: `torch.func` with `vmap` over the tasks, a plain loop over the tasks, and torchopt in that loop.

Weights and images have PyTorch's axes, filters and channels first. In memory channels are first too, or last
(`torch.channels_last`) where the implementation's name says so. The batch norm is PyTorch's, whose second
derivative is correct. A max-pool and strides of 2 pad as TensorFlow's SAME does.
"""

import math
import os
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nn
from torch.func import grad, vmap

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
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tasks, _, last = name.partition("_channels_")
    weights = {key: _weights_to_torch(value) for key, value in weights_of(problem, arrays).items()}
    batch = [_data_to_torch(array) for array in batch_of(arrays)]
    if last:
        weights = {key: _channels_last(value) for key, value in weights.items()}
        batch = [_channels_last(tensor) for tensor in batch]
    meta_gradient = {"torch_vmap": _vmap, "torch_loop": _task_loop, "torchopt": _torchopt}[tasks](problem)
    if problem["kind"] == "training":
        return _training(problem, weights, meta_gradient)
    return Benchmark(
        repeated(lambda: meta_gradient(weights, batch)),
        lambda gradients: [_weights_to_numpy(gradients[key]) for key in problem["names"]],
    )


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    return versions_of("torch", "numpy")


def _vmap(problem):
    def meta_loss(weights, batch):
        return vmap(lambda *task: _task_loss(problem, weights, *task))(*batch).mean()

    return grad(meta_loss)


def _task_loss(problem, weights, support_x, support_y, query_x, query_y):
    adaptable, fixed = split_adaptable(problem, weights)

    def support_loss(adaptable):
        return _loss(problem, support_y, _forward(problem["network"], adaptable | fixed, support_x))

    for _ in range(problem["steps"]):
        gradients = grad(support_loss)(adaptable)
        if problem["first_order"]:
            gradients = {name: gradient.detach() for name, gradient in gradients.items()}
        adaptable = {key: value - problem["step_size"] * gradients[key] for key, value in adaptable.items()}
    return _loss(problem, query_y, _forward(problem["network"], adaptable | fixed, query_x))


def _task_loop(problem):
    adaptable = [name for name, adapted in zip(problem["names"], problem["adaptable"], strict=True) if adapted]

    def meta_gradient(weights, batch):
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        total = {name: torch.zeros_like(value) for name, value in leaves.items()}
        for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
            fast = leaves
            for _ in range(problem["steps"]):
                loss = _loss(problem, support_y, _forward(problem["network"], fast, support_x))
                gradients = torch.autograd.grad(
                    loss, [fast[name] for name in adaptable], create_graph=not problem["first_order"]
                )
                steps = zip(adaptable, gradients, strict=True)
                fast = fast | {name: fast[name] - problem["step_size"] * gradient for name, gradient in steps}
            loss = _loss(problem, query_y, _forward(problem["network"], fast, query_x)) / problem["tasks"]
            gradients = torch.autograd.grad(loss, list(leaves.values()))
            for name, gradient in zip(leaves, gradients, strict=True):
                total[name] += gradient
        return total

    return meta_gradient


def _torchopt(problem):
    """The loop over the tasks with torchopt's differentiable SGD as inner step; for networks without batch norm."""
    import torchopt

    inner = torchopt.sgd(lr=problem["step_size"])

    def meta_gradient(weights, batch):
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        losses = []
        for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
            fast = tuple(leaves.values())
            state = inner.init(fast)
            for _ in range(problem["steps"]):
                predictions = _forward(problem["network"], dict(zip(leaves, fast, strict=True)), support_x)
                gradients = torch.autograd.grad(_loss(problem, support_y, predictions), fast, create_graph=True)
                updates, state = inner.update(gradients, state, inplace=False)
                fast = torchopt.apply_updates(fast, updates, inplace=False)
            predictions = _forward(problem["network"], dict(zip(leaves, fast, strict=True)), query_x)
            losses.append(_loss(problem, query_y, predictions))
        gradients = torch.autograd.grad(torch.stack(losses).mean(), list(leaves.values()))
        return dict(zip(leaves, gradients, strict=True))

    return meta_gradient


def _loss(problem, y, predictions):
    if "shots" not in problem:
        return torch.mean(torch.square(predictions - y))
    return nn.cross_entropy(predictions, y, reduction="sum") / problem["shots"]


def _forward(network, weights, x):
    if network == "mlp":
        x = x.flatten(1)  # images have one channel here, so its place makes no difference
        for i in hidden_layers(weights):
            x = x @ weights[f"dense_{i}/kernel"] + weights[f"dense_{i}/bias"]
            if f"norm_{i}/beta" in weights:
                x = _normalize(x, weights[f"norm_{i}/beta"])
            x = torch.relu(x)
        return x @ weights["output/kernel"] + weights["output/bias"]
    for i in BLOCKS:
        kernel, bias = weights[f"conv_{i}/kernel"], weights[f"conv_{i}/bias"]
        if network == "omniglot_conv":
            x = nn.conv2d(nn.pad(x, _same_padding(*x.shape[-2:])), kernel, bias, stride=2)
        else:
            x = nn.conv2d(x, kernel, bias, padding=1)
        x = torch.relu(_normalize(x, weights[f"norm_{i}/beta"]))
        if network == "mini_imagenet_conv":
            x = nn.max_pool2d(x, 2)
    # Flattened with the channels last, as the dense layer's weights expect them.
    x = x.mean((2, 3)) if network == "omniglot_conv" else x.permute(0, 2, 3, 1).flatten(1)
    return x @ weights["output/kernel"] + weights["output/bias"]


def _normalize(x, beta):
    return nn.batch_norm(x, None, None, bias=beta, training=True, eps=NORM_EPSILON)


def _same_padding(height, width):
    """(left, right, top, bottom) of TensorFlow's SAME for a 3x3 convolution with stride 2."""
    missing = [(math.ceil(side / 2) - 1) * 2 + 3 - side for side in (width, height)]
    return [part for number in missing for part in (number // 2, number - number // 2)]


def _weights_to_torch(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array))


def _weights_to_numpy(tensor):
    array = tensor.detach().numpy()
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def _data_to_torch(array):
    if array.ndim == 5:  # images [T, n, height, width, channels]
        array = array.transpose(0, 1, 4, 2, 3)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor if tensor.is_floating_point() else tensor.long()


def _channels_last(tensor):
    """The same images, or the same kernels, with the channels last in memory."""
    if tensor.ndim == 5:  # a task axis in front
        return tensor.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, tensor.shape[:2])
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _training(problem, weights, meta_gradient):
    """Sampling, meta-gradient and PyTorch's fused Adam, one iteration after the other."""
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    adam = torch.optim.Adam(leaves.values(), problem["learning_rate"], eps=1e-8, fused=True)
    generator = torch.Generator().manual_seed(1)
    T, n = problem["tasks"], problem["support"]

    def uniform(shape, low, high):
        return low + (high - low) * torch.rand(shape, generator=generator)

    def step():
        amplitude, phase = uniform((T, 1, 1), 0.1, 5.0), uniform((T, 1, 1), 0.0, math.pi)
        x = uniform((T, n + problem["queries"], 1), -5.0, 5.0)
        y = amplitude * torch.sin(x - phase)
        batch = [x[:, :n], y[:, :n], x[:, n:], y[:, n:]]
        gradients = meta_gradient({name: leaf.detach() for name, leaf in leaves.items()}, batch)
        for name, leaf in leaves.items():
            leaf.grad = gradients[name].detach()
        adam.step()

    return Benchmark(repeated(step))
