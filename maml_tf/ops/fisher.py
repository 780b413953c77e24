"""Fisher products of a Gaussian policy, written by hand: `MetaObjective.fisher_product` without double backpropagation.

A conjugate gradient asks for ten products at the same parameters. Double backpropagation passes forward and backward
again for each of them. Here those passes are done once and kept, which halves the work. The formulas are Pearlmutter's
(Fast exact multiplication by the Hessian, 1994) for the network of `GaussianPolicy`.

All functions are about one task: observations [B, O], parameters and tangents as lists without a task axis.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.numpy_policy import MIN_LOG_STD
from maml_tf.runtime import available_cores

if TYPE_CHECKING:
    from maml_tf.rl.meta_objective import MetaObjective
    from maml_tf.rl.policy_gradient import PolicyBatch


def has_fast_fisher(policy: object) -> bool:
    """Whether `FastFisher` knows the policy's network and distribution."""
    return type(policy) is GaussianPolicy


class FastFisher:
    """The KL divergence's second derivative F at the theta that sampled, times vectors.

    At that theta F is exactly J' M J. M is the second derivative of the normal distributions' KL divergence in their
    parameters, and J the first derivative of these parameters by theta. J in turn is their derivative by the last
    adapted parameters, times I - alpha D H for every inner step. H is the second derivative of that step's loss, and D
    is diagonal: 1 for a parameter that the step adapts, else 0. So a product with F takes two products with every H,
    and no third derivatives.

    Args:
        objective: whose policy, step size and inner loss these are.
    """

    def __init__(self, objective: "MetaObjective"):
        self.objective = objective

    def at(
        self, path: list[tf.Tensor], earlier: "list[PolicyBatch]", later: "PolicyBatch"
    ) -> Callable[[np.ndarray], np.ndarray]:
        """v [P] -> F v [P] in NumPy, summed over the tasks.

        Args:
            path: parameters [T, P] before each inner step and after the last.
            earlier: PolicyBatch of each inner step.
            later: PolicyBatch after the last.
        """
        tasks = [
            self._passes(*tf.nest.map_structure(lambda tensor, task=task: tensor[task], (path, earlier, later)))
            for task in range(path[0].shape[0])
        ]

        def product(vector):
            vector = tf.constant(vector, self.objective.policy.dtype)
            with ThreadPoolExecutor(available_cores()) as threads:
                products = list(threads.map(lambda task: self._task_product(vector, *task).numpy(), tasks))
            return np.sum(products, axis=0)

        return product

    @tf.function(autograph=False)
    def _passes(self, path, earlier, later):
        """What all products of a task share: Backward of every inner step, Forward after the last, weights."""
        *starts, end = (
            forward_pass(self.objective.policy, self.objective.unflat(params), batch.observations)
            for params, batch in zip(path, (*earlier, later), strict=True)
        )
        steps = [backward_pass(start, batch) for start, batch in zip(starts, earlier, strict=True)]
        return steps, end, later.pooled_weights

    @tf.function(autograph=False)
    def _task_product(self, vector, steps, end, weights):
        """One task's share of a product, from its `_passes`."""
        alpha, adaptable = self.objective.step_size, self.objective.adaptable
        tangent = vector
        for step in steps:
            tangent -= alpha * adaptable * self._hessian_product(step, tangent)
        tangent = self.objective.flat(kl_hessian_product(end, weights, self.objective.unflat(tangent)))
        for step in steps[::-1]:
            tangent -= alpha * self._hessian_product(step, adaptable * tangent)
        return tangent

    def _hessian_product(self, step, tangent):
        product = loss_hessian_product(step, self.objective.unflat(tangent), self.objective.likelihood_ratio)
        return self.objective.flat(product)


class Params(NamedTuple):
    """The parts of a policy's list of parameters, or of a tangent or gradient."""

    log_std: tf.Tensor
    context: tf.Tensor | None
    kernels: list
    biases: list

    @classmethod
    def of(cls, params: list, has_context: bool) -> "Params":
        """From a list in the policy's order."""
        log_std, *rest = params
        context = rest.pop(0) if has_context else None
        return cls(log_std, context, rest[::2], rest[1::2])

    def as_list(self) -> list:
        """The reverse of `of`."""
        layers = [part for pair in zip(self.kernels, self.biases, strict=True) for part in pair]
        return [self.log_std, *([] if self.context is None else [self.context]), *layers]


class Forward(NamedTuple):
    """A forward pass.

    Attributes:
        params: Params.
        inputs: of every layer, [B, in].
        activation_grad: the activation's derivative in every hidden layer, [B, units].
        activation_hess: its second derivative; None for a ReLU, whose second derivative is 0.
        mean: [B, A]
        log_std: [A], not below the floor.
        above_floor: [A], 1 where the parameter is above the floor, else 0.
    """

    params: Params
    inputs: list
    activation_grad: list
    activation_hess: list
    mean: tf.Tensor
    log_std: tf.Tensor
    above_floor: tf.Tensor


class Backward(NamedTuple):
    """A backward pass of the inner loss: what its second derivative needs.

    Attributes:
        forward: Forward.
        weights: weight x advantage / variance, [B, A].
        errors: mean - action, [B, A].
        deltas: the loss's derivative by every layer's output before the activation, [B, units].
        curvatures: the loss's derivative by every hidden layer's activation, times the activation's second derivative;
            None for a ReLU.
    """

    forward: Forward
    weights: tf.Tensor
    errors: tf.Tensor
    deltas: list
    curvatures: list


def forward_pass(policy: GaussianPolicy, param_list: list, observations: tf.Tensor) -> Forward:
    """The Forward of a policy under the parameters `param_list`."""
    params = Params.of(param_list, policy.context is not None)
    x = observations
    if params.context is not None:
        x = tf.concat([x, tf.tile(params.context[tf.newaxis], [tf.shape(x)[0], 1])], axis=1)
    inputs, activation_grad, activation_hess = [x], [], []
    for kernel, bias in zip(params.kernels[:-1], params.biases[:-1], strict=True):
        x = tf.matmul(x, kernel) + bias
        if policy.activation == "relu":
            x = tf.nn.relu(x)
            activation_grad.append(tf.cast(x > 0, x.dtype))
            activation_hess.append(None)
        else:
            x = tf.tanh(x)
            activation_grad.append(1 - x * x)
            activation_hess.append(-2 * x * activation_grad[-1])
        inputs.append(x)
    mean = tf.matmul(x, params.kernels[-1]) + params.biases[-1]
    above_floor = tf.cast(params.log_std > MIN_LOG_STD, mean.dtype)
    log_std = tf.maximum(params.log_std, MIN_LOG_STD)
    return Forward(params, inputs, activation_grad, activation_hess, mean, log_std, above_floor)


def backward_pass(forward: Forward, batch: "PolicyBatch") -> Backward:
    """The Backward of the inner loss (`policy_gradient_loss`) of one task's PolicyBatch."""
    errors = forward.mean - batch.actions
    weights = (batch.weights * batch.advantages)[:, tf.newaxis] * tf.exp(-2 * forward.log_std)
    deltas, curvatures = [weights * errors], []
    for next_kernel, grad, hess in _hidden_layers_from_the_last(forward):
        upstream = tf.matmul(deltas[0], next_kernel, transpose_b=True)
        curvatures.insert(0, None if hess is None else hess * upstream)
        deltas.insert(0, grad * upstream)
    return Backward(forward, weights, errors, deltas, curvatures)


def loss_hessian_product(backward: Backward, tangent_list: list, likelihood_ratio: bool = False) -> list:
    """The inner loss's second derivative times `tangent_list`, both lists in the policy's order.

    With the likelihood ratio, at the policy that sampled, the second derivative has one more term: the gradient in
    which every sample is weighted by the derivative of its log-probability along `tangent`.
    """
    forward, deltas = backward.forward, backward.deltas
    params, tangent = forward.params, Params.of(tangent_list, forward.params.context is not None)
    input_tangents, output_tangents, mean_tangent = _tangents(forward, tangent)
    log_std_tangent = forward.above_floor * tangent.log_std
    delta_tangent = backward.weights * (mean_tangent - 2 * log_std_tangent * backward.errors)
    log_std = -2 * tf.reduce_sum(backward.errors * delta_tangent, axis=0)
    # The squared error is divided by sigma^2, so its derivative along log sigma is counted twice above, with the wrong
    # sign.
    log_std -= 2 * log_std_tangent * tf.reduce_sum(backward.weights * backward.errors**2, axis=0)
    if likelihood_ratio:
        precision = tf.exp(-2 * forward.log_std)
        by_log_std = backward.errors**2 * precision - 1  # derivative of the log-probability, [B, A]
        along = log_std_tangent * by_log_std - backward.errors * precision * mean_tangent
        along = tf.reduce_sum(along, axis=1, keepdims=True)
        delta_tangent += along * deltas[-1]
        log_std -= tf.reduce_sum(along * backward.weights / precision * by_log_std, axis=0)
    kernels, biases = [], []
    for layer in range(len(deltas) - 1, -1, -1):
        kernel = tf.matmul(forward.inputs[layer], delta_tangent, transpose_a=True)
        if input_tangents[layer] is not None:
            kernel += tf.matmul(input_tangents[layer], deltas[layer], transpose_a=True)
        kernels.insert(0, kernel)
        biases.insert(0, tf.reduce_sum(delta_tangent, axis=0))
        if layer:
            upstream = tf.matmul(delta_tangent, params.kernels[layer], transpose_b=True)
            upstream += tf.matmul(deltas[layer], tangent.kernels[layer], transpose_b=True)
            delta_tangent = forward.activation_grad[layer - 1] * upstream
            if backward.curvatures[layer - 1] is not None:
                delta_tangent += backward.curvatures[layer - 1] * output_tangents[layer - 1]
    context = None
    if params.context is not None and tangent.context is not None:
        # The context is a constant part of the input, so its derivatives are sums over the samples.
        observed, total = forward.inputs[0].shape[1] - params.context.shape[0], tf.reduce_sum(deltas[0], axis=0)
        constant, constant_tangent = params.kernels[0][observed:], tangent.kernels[0][observed:]
        context = tf.linalg.matvec(constant, biases[0]) + tf.linalg.matvec(constant_tangent, total)
        outer = tangent.context[:, tf.newaxis] * total
        kernels[0] += tf.pad(outer, [[observed, 0], [0, 0]])
    return Params(forward.above_floor * log_std, context, kernels, biases).as_list()


def kl_hessian_product(forward: Forward, weights: tf.Tensor, tangent_list: list) -> list:
    """J' M J `tangent_list` for the KL divergence weighted by `weights` [B]; lists in the policy's order.

    J is the derivative of mean and log sigma by the parameters. M is the second derivative of the normal distribution's
    KL divergence in mean and log sigma: 1 / sigma^2 in the mean, 2 in log sigma.
    """
    params, tangent = forward.params, Params.of(tangent_list, forward.params.context is not None)
    _, _, mean_tangent = _tangents(forward, tangent)
    delta = weights[:, tf.newaxis] * tf.exp(-2 * forward.log_std) * mean_tangent
    kernels, biases = [], []
    for layer in range(len(params.kernels) - 1, -1, -1):
        kernels.insert(0, tf.matmul(forward.inputs[layer], delta, transpose_a=True))
        biases.insert(0, tf.reduce_sum(delta, axis=0))
        if layer:
            delta = forward.activation_grad[layer - 1] * tf.matmul(delta, params.kernels[layer], transpose_b=True)
    context = None
    if params.context is not None:
        context = tf.linalg.matvec(params.kernels[0][-params.context.shape[0] :], biases[0])
    log_std = 2 * tf.reduce_sum(weights) * forward.above_floor * tangent.log_std
    return Params(log_std, context, kernels, biases).as_list()


def _tangents(forward, tangent):
    """Tangents of every layer's input (None for the first), of the hidden layers' outputs before the activation, and of
    the mean."""
    params = forward.params
    input_tangents, output_tangents = [None], []
    for layer, (kernel, bias) in enumerate(zip(tangent.kernels, tangent.biases, strict=True)):
        output = tf.matmul(forward.inputs[layer], kernel) + bias
        if layer:
            output += tf.matmul(input_tangents[layer], params.kernels[layer])
        elif params.context is not None:
            constant = params.kernels[0][-params.context.shape[0] :]
            output += tf.linalg.matvec(constant, tangent.context, transpose_a=True)
        output_tangents.append(output)
        if layer < len(forward.activation_grad):
            input_tangents.append(forward.activation_grad[layer] * output)
    return input_tangents, output_tangents[:-1], output_tangents[-1]


def _hidden_layers_from_the_last(forward):
    """(the next layer's kernel, activation_grad, activation_hess) of every hidden layer."""
    layers = zip(forward.params.kernels[1:], forward.activation_grad, forward.activation_hess, strict=True)
    return list(layers)[::-1]
