"""Bounds on rounding errors, from the dtype and the operations alone: what a test may allow on any processor."""

import contextlib
import unittest.mock

import ml_dtypes
import numpy as np
import tensorflow as tf


def gamma(operations, dtype=np.float32):
    """The relative error that this many roundings in a row can add up to: k u / (1 - k u) (Higham 2002, section 3.1).

    A sum of k products is within gamma(k) of the sum of their absolute values, in any order, with or without fused
    multiply-adds.
    """
    share = operations * float(ml_dtypes.finfo(dtype).eps) / 2
    return share / (1 - share)


def relu_network_error(layers, x, dtype=np.float32):
    """How far rounding can put the outputs of a network of dense ReLU layers off.

    Args:
        layers: a (kernel [in, out], bias [out]) for each layer; the last has no ReLU.
        x: inputs [n, in], exact.

    Returns:
        [n, out], bounds that hold for every order of summation.
    """
    x, error = np.asarray(x, np.float64), np.zeros(np.shape(x))
    for kernel, bias in layers:
        kernel, bias = np.asarray(kernel, np.float64), np.asarray(bias, np.float64)
        # The error of the inputs passes through the kernel; the sum of the products and the bias rounds once a term.
        rounded = gamma(len(kernel) + 1, dtype) * ((np.abs(x) + error) @ np.abs(kernel) + np.abs(bias))
        error = error @ np.abs(kernel) + rounded
        x = np.maximum(x @ kernel + bias, 0)  # which moves no number further apart; the last layer's is not used
    return error


@contextlib.contextmanager
def convolutions_of_bfloat16(seed):
    """Inside, factors and results of `tf.nn.conv2d` and of its derivatives are rounded to the 8 bits of bfloat16.

    Each on a grid that is shifted at random, so that every seed rounds every number otherwise, by errors of the same
    size. The sums stay in the dtype of the factors.
    """
    random, convolution = np.random.default_rng(seed), tf.nn.conv2d

    def rounded(x):
        scale = 2 ** random.uniform()
        return tf.cast(tf.cast(x * scale, tf.bfloat16), x.dtype) / scale

    @tf.custom_gradient
    def factor(x):
        return rounded(x), result

    @tf.custom_gradient
    def result(y):  # what comes back to it is a factor of the derivatives
        return rounded(y), factor

    def replaced(x, kernel, *args, **kwargs):
        return result(convolution(factor(x), factor(kernel), *args, **kwargs))

    with unittest.mock.patch.object(tf.nn, "conv2d", replaced):
        yield
