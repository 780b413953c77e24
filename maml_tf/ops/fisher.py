"""Second derivatives of a policy's losses times many vectors, on one task: what all products share is computed once.

A conjugate gradient asks for ten products at the same parameters. By double backpropagation each would pass forward and
backward again before it begins; here both passes are kept, which halves the work. The formulas are Pearlmutter's
(Fast exact multiplication by the Hessian, 1994) for the network of `GaussianPolicy`.

Everything is about one task: observations [B, O], parameters and tangents as lists without a task axis.
"""

from typing import NamedTuple

import tensorflow as tf

from maml_tf.rl.sampling.numpy_policy import MIN_LOG_STD


class Params(NamedTuple):
    """The parts of a policy's list of parameters, or of a tangent or gradient."""

    log_std: tf.Tensor
    context: tf.Tensor | None
    kernels: list
    biases: list

    @classmethod
    def of(cls, params, has_context):
        """From a list in the policy's order."""
        log_std, *rest = params
        context = rest.pop(0) if has_context else None
        return cls(log_std, context, rest[::2], rest[1::2])

    def as_list(self):
        """The reverse of `of`."""
        layers = [part for pair in zip(self.kernels, self.biases, strict=True) for part in pair]
        return [self.log_std, *([] if self.context is None else [self.context]), *layers]


class Forward(NamedTuple):
    """A forward pass.

    Attributes:
        params: Params.
        inputs: of every layer, [B, in].
        slopes: the activation's derivative in every hidden layer, [B, units].
        bends: its second derivative, or None of a ReLU, whose is 0.
        mean: [B, A]
        log_std: [A], not below the floor.
        above_floor: [A], 1 where the parameter is not, else 0.
    """

    params: Params
    inputs: list
    slopes: list
    bends: list
    mean: tf.Tensor
    log_std: tf.Tensor
    above_floor: tf.Tensor


class Backward(NamedTuple):
    """A backward pass of the inner loss: what its second derivative needs.

    Attributes:
        forward: Forward.
        weights: weight x advantage over the variance, [B, A].
        errors: mean - action, [B, A].
        deltas: the loss's derivative by every layer's output before the activation, [B, units].
        bent: the same by every hidden layer's activation, times the activation's second derivative; or None.
    """

    forward: Forward
    weights: tf.Tensor
    errors: tf.Tensor
    deltas: list
    bent: list


def forward_pass(policy, params, observations):
    """The Forward of a GaussianPolicy under `params` (a list)."""
    params = Params.of(params, policy.context is not None)
    x = observations
    if params.context is not None:
        x = tf.concat([x, tf.tile(params.context[tf.newaxis], [tf.shape(x)[0], 1])], axis=1)
    inputs, slopes, bends = [x], [], []
    for kernel, bias in zip(params.kernels[:-1], params.biases[:-1], strict=True):
        x = tf.matmul(x, kernel) + bias
        if policy.activation == "relu":
            x = tf.nn.relu(x)
            slopes.append(tf.cast(x > 0, x.dtype))
            bends.append(None)
        else:
            x = tf.tanh(x)
            slopes.append(1 - x * x)
            bends.append(-2 * x * slopes[-1])
        inputs.append(x)
    mean = tf.matmul(x, params.kernels[-1]) + params.biases[-1]
    above_floor = tf.cast(params.log_std > MIN_LOG_STD, mean.dtype)
    return Forward(params, inputs, slopes, bends, mean, tf.maximum(params.log_std, MIN_LOG_STD), above_floor)


def backward_pass(forward, batch):
    """The Backward of the inner loss (`policy_gradient_loss`) of one task's PolicyBatch."""
    errors = forward.mean - batch.actions
    weights = (batch.weights * batch.advantages)[:, tf.newaxis] * tf.exp(-2 * forward.log_std)
    deltas, bent = [weights * errors], []
    for kernel, slope, bend in _hidden_layers_from_the_last(forward):
        upstream = tf.matmul(deltas[0], kernel, transpose_b=True)
        bent.insert(0, None if bend is None else bend * upstream)
        deltas.insert(0, slope * upstream)
    return Backward(forward, weights, errors, deltas, bent)


def loss_hessian_product(backward, tangent, likelihood_ratio=False):
    """The inner loss's second derivative times `tangent`, both lists in the policy's order.

    That of the likelihood ratio, at the policy that sampled, has one term more: the gradient with every sample's part
    times the derivative of its log-probability along `tangent`.
    """
    forward, deltas = backward.forward, backward.deltas
    params, tangent = forward.params, Params.of(tangent, forward.params.context is not None)
    input_tangents, output_tangents, mean_tangent = _tangents(forward, tangent)
    log_std_tangent = forward.above_floor * tangent.log_std
    delta_tangent = backward.weights * (mean_tangent - 2 * log_std_tangent * backward.errors)
    log_std = -2 * tf.reduce_sum(backward.errors * delta_tangent, axis=0)
    # The error's square falls with e^(-2 log sigma): the product above counts its derivative twice, and with its sign.
    log_std -= 2 * log_std_tangent * tf.reduce_sum(backward.weights * backward.errors**2, axis=0)
    if likelihood_ratio:
        precision = tf.exp(-2 * forward.log_std)
        by_log_std = backward.errors**2 * precision - 1  # of the log-probability, [B, A]
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
            delta_tangent = forward.slopes[layer - 1] * upstream
            if backward.bent[layer - 1] is not None:
                delta_tangent += backward.bent[layer - 1] * output_tangents[layer - 1]
    context = None
    if params.context is not None:
        # The context is a constant part of the input: its derivatives are sums over the samples.
        observed, total = forward.inputs[0].shape[1] - params.context.shape[0], tf.reduce_sum(deltas[0], axis=0)
        constant, constant_tangent = params.kernels[0][observed:], tangent.kernels[0][observed:]
        context = tf.linalg.matvec(constant, biases[0]) + tf.linalg.matvec(constant_tangent, total)
        outer = tangent.context[:, tf.newaxis] * total
        kernels[0] += tf.pad(outer, [[observed, 0], [0, 0]])
    return Params(forward.above_floor * log_std, context, kernels, biases).as_list()


def kl_hessian_product(forward, weights, tangent):
    """J' M J `tangent` for the KL divergence weighted by `weights` [B]; lists in the policy's order.

    J is the derivative of mean and log sigma by the parameters, M the normal distribution's KL divergence's second
    derivative in them: 1 / sigma^2 in the mean, 2 in log sigma.
    """
    params, tangent = forward.params, Params.of(tangent, forward.params.context is not None)
    _, _, mean_tangent = _tangents(forward, tangent)
    delta = weights[:, tf.newaxis] * tf.exp(-2 * forward.log_std) * mean_tangent
    kernels, biases = [], []
    for layer in range(len(params.kernels) - 1, -1, -1):
        kernels.insert(0, tf.matmul(forward.inputs[layer], delta, transpose_a=True))
        biases.insert(0, tf.reduce_sum(delta, axis=0))
        if layer:
            delta = forward.slopes[layer - 1] * tf.matmul(delta, params.kernels[layer], transpose_b=True)
    context = None
    if params.context is not None:
        context = tf.linalg.matvec(params.kernels[0][-params.context.shape[0] :], biases[0])
    log_std = 2 * tf.reduce_sum(weights) * forward.above_floor * tangent.log_std
    return Params(log_std, context, kernels, biases).as_list()


def _tangents(forward, tangent):
    """Tangents of every layer's input (None of the first), of the hidden layers' outputs before the activation, and of
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
        if layer < len(forward.slopes):
            input_tangents.append(forward.slopes[layer] * output)
    return input_tangents, output_tangents[:-1], output_tangents[-1]


def _hidden_layers_from_the_last(forward):
    """(the next layer's kernel, slopes, bends) of every hidden layer."""
    return list(zip(forward.params.kernels[1:], forward.slopes, forward.bends, strict=True))[::-1]
