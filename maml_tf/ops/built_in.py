"""Graphs of adaptations made of the operations that LiteRT has built in.

LiteRT runs networks, and lacks the operations of their gradients: of convolutions, pools, activations, strided slices
and the cross-entropy. Here each is built of slices, pads, comparisons and matrix products. They are first derivatives.
tests/ops/test_built_in.py compares them with TensorFlow's kernels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.ops.rewriting import Replacement


def _places(dim: int, begin: int, size: int, stride: int) -> tuple[int, int, int]:
    """(zeros before, between and after) that carry `size` values to the places begin, begin + stride, ... of `dim`."""
    return begin, stride - 1, dim - begin - ((size - 1) * stride + 1)


def _scattered(values: tf.Tensor, axis: int, dim: int, begin: int, stride: int) -> tf.Tensor:
    """Values along an axis at the places begin, begin + stride, ... of a longer axis, and zeros elsewhere."""
    shape = values.shape.as_list()
    size = shape[axis]
    if (size, begin) == (dim, 0):
        return values
    lead, rest = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    before, between, after = _places(dim, begin, size, stride)
    if between:
        values = tf.pad(tf.reshape(values, [lead, size, 1, rest]), [[0, 0], [0, 0], [0, between], [0, 0]])
        values = tf.slice(
            tf.reshape(values, [lead, size * stride, rest]), [0, 0, 0], [lead, size * stride - between, rest]
        )
    values = tf.pad(tf.reshape(values, [lead, -1, rest]), [[0, 0], [before, after], [0, 0]])
    return tf.reshape(values, [*shape[:axis], dim, *shape[axis + 1 :]])


def _known(tensor: tf.Tensor, operation: tf.Operation) -> np.ndarray:
    value = tf.get_static_value(tensor)
    if value is None:
        raise UsageError(
            f"the model computes sizes from values ({operation.type} {operation.name}), which needs fixed ones"
        )
    return value


def _strided_slice_grad(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    shape, begin, end, strides = (_known(tensor, operation) for tensor in given[:4])
    masks = {
        name: operation.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }

    def on(name, place):
        return bool(masks[name] >> place & 1)

    spread = [place for place in range(len(begin)) if on("ellipsis", place)]
    taken = sum(not on("new_axis", place) for place in range(len(begin))) - len(spread)
    kept: list[tuple[int, int, int]] = []  # (begin, size, stride) of each axis of the input
    for place in range(len(begin)):
        dim = int(shape[len(kept)]) if len(kept) < len(shape) else 1
        if place in spread:
            kept += [(0, int(size), 1) for size in shape[len(kept) : len(kept) + len(shape) - taken]]
        elif on("shrink_axis", place):
            kept.append((int(begin[place]) % dim, 1, 1))
        elif not on("new_axis", place):
            start = None if on("begin", place) else int(begin[place])
            stop = None if on("end", place) else int(end[place])
            places = range(dim)[start : stop : int(strides[place])]
            kept.append((places.start, len(places), places.step))
    kept += [(0, int(size), 1) for size in shape[len(kept) :]]
    if any(stride < 0 for _, _, stride in kept):
        raise UsageError("the model takes a slice backwards (a negative stride), which cannot be converted")
    values = tf.reshape(given[4], [size for _, size, _ in kept])
    for axis, (start, _, stride) in enumerate(kept):
        values = _scattered(values, axis, int(shape[axis]), start, stride)
    return values


def _windows(operation: tf.Operation, size: Sequence[int], image: Sequence[int]) -> tuple[list, list, list]:
    """Of a convolution or pool in NHWC: its zeros around the image, its places in a window, and its strides.

    Args:
        operation: has `strides`, `padding` and perhaps `dilations`.
        size: of a window, (height, width).
        image: (height, width).

    Returns:
        ([(before, after), (before, after)], [(row, column), ...], [(stride, outputs), (stride, outputs)])
    """
    if operation.get_attr("data_format") != b"NHWC":
        raise UsageError(f"{operation.type}: channels first are not allowed; expected channels last")
    try:
        dilations = operation.get_attr("dilations")[1:3]
    except ValueError:  # a pool has none
        dilations = [1, 1]
    padding, pads, steps = operation.get_attr("padding"), [], []
    for length, dim, stride, dilation in zip(size, image, operation.get_attr("strides")[1:3], dilations, strict=True):
        extent = (length - 1) * dilation + 1
        outputs = -(-dim // stride) if padding == b"SAME" else (dim - extent) // stride + 1
        missing = max((outputs - 1) * stride + extent - dim, 0)
        pads.append((missing // 2, missing - missing // 2))
        steps.append((stride, outputs))
    if padding not in (b"SAME", b"VALID"):
        raise UsageError(f"{operation.type}: padding {padding.decode()} is not allowed; expected SAME or VALID")
    places = [(row * dilations[0], column * dilations[1]) for row in range(size[0]) for column in range(size[1])]
    return pads, places, steps


def _padded(x: tf.Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> tf.Tensor:
    return tf.pad(x, [[0, 0], *map(list, pads), [0, 0]], constant_values=value)


def _gathered(x: tf.Tensor, places: Sequence[tuple[int, int]], steps: Sequence[tuple[int, int]]) -> list[tf.Tensor]:
    """For each place in a window the values there, [n, rows, columns, channels]."""
    (high, rows), (wide, columns) = steps
    return [
        x[:, row : row + (rows - 1) * high + 1 : high, column : column + (columns - 1) * wide + 1 : wide]
        for row, column in places
    ]


def _put_back(
    values: Sequence[tf.Tensor],
    places: Sequence[tuple[int, int]],
    steps: Sequence[tuple[int, int]],
    pads: Sequence[tuple[int, int]],
    shape: Sequence[int],
) -> tf.Tensor:
    """The transpose of gathering: the sum of the values at their places in images of a shape."""
    n, height, width, channels = shape
    dims = [dim + sum(pad) for dim, pad in zip((height, width), pads, strict=True)]
    spread = []
    for part, place in zip(values, places, strict=True):
        for axis in (1, 2):
            part = _scattered(part, axis, dims[axis - 1], place[axis - 1], steps[axis - 1][0])
        spread.append(part)
    return tf.slice(tf.add_n(spread), [0, pads[0][0], pads[1][0], 0], [n, height, width, channels])


def _patches(x: tf.Tensor, operation: tf.Operation, size: Sequence[int]) -> tf.Tensor:
    """[n rows columns, window size * channels]"""
    pads, places, steps = _windows(operation, size, x.shape[1:3])
    return _as_rows(tf.concat(_gathered(_padded(x, pads), places, steps), axis=-1))


def _as_rows(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [-1, x.shape[-1]])


def _check_groups(channels: int, kernel: Sequence[int], operation: tf.Operation) -> None:
    if channels != kernel[2]:
        raise UsageError(
            f"{operation.type}: groups of channels are not allowed; expected a convolution of all channels"
        )


def _conv2d(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    x, kernel = given
    _check_groups(x.shape[-1], kernel.shape, operation)
    *_, steps = _windows(operation, kernel.shape[:2], x.shape[1:3])
    product = _patches(x, operation, kernel.shape[:2]) @ tf.reshape(kernel, [-1, kernel.shape[-1]])
    return tf.reshape(product, [x.shape[0], *(outputs for _, outputs in steps), kernel.shape[-1]])


def _conv2d_by_kernel(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    x, g, shape = given[0], given[2], _known(given[1], operation).tolist()
    _check_groups(x.shape[-1], shape, operation)
    return tf.reshape(tf.matmul(_patches(x, operation, shape[:2]), _as_rows(g), transpose_a=True), shape)


def _conv2d_by_input(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    shape, kernel, g = _known(given[0], operation).tolist(), given[1], given[2]
    _check_groups(shape[-1], kernel.shape, operation)
    pads, places, steps = _windows(operation, kernel.shape[:2], shape[1:3])
    by_patches = tf.matmul(_as_rows(g), tf.reshape(kernel, [-1, kernel.shape[-1]]), transpose_b=True)
    by_patches = tf.reshape(by_patches, [*g.shape[:-1], len(places) * shape[-1]])
    return _put_back(tf.split(by_patches, len(places), axis=-1), places, steps, pads, shape)


def _depthwise_by_kernel(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    x, g, shape = given[0], given[2], _known(given[1], operation).tolist()
    pads, places, steps = _windows(operation, shape[:2], x.shape[1:3])
    g = tf.reshape(g, [*g.shape[:-1], *shape[2:]])
    parts = [
        tf.reduce_sum(values[..., tf.newaxis] * g, [0, 1, 2]) for values in _gathered(_padded(x, pads), places, steps)
    ]
    return tf.reshape(tf.stack(parts), shape)


def _depthwise_by_input(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    shape, kernel, g = _known(given[0], operation).tolist(), given[1], given[2]
    pads, places, steps = _windows(operation, kernel.shape[:2], shape[1:3])
    g = tf.reshape(g, [*g.shape[:-1], *kernel.shape[2:]])
    factors = tf.unstack(tf.reshape(kernel, [-1, *kernel.shape[2:]]))
    return _put_back([tf.reduce_sum(g * factor, -1) for factor in factors], places, steps, pads, shape)


def _max_pool_grad(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    x, maxima, g = given
    pads, places, steps = _windows(operation, operation.get_attr("ksize")[1:3], x.shape[1:3])
    free, parts = tf.ones_like(maxima), []  # of equal values the first takes the gradient
    for values in _gathered(_padded(x, pads, x.dtype.min), places, steps):
        here = tf.where(values >= maxima, free, 0.0)
        parts.append(g * here)
        free -= here
    return _put_back(parts, places, steps, pads, x.shape)


def _avg_pool_grad(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    shape, g = _known(given[0], operation).tolist(), given[1]
    pads, places, steps = _windows(operation, operation.get_attr("ksize")[1:3], shape[1:3])
    inside = _gathered(_padded(tf.ones([1, *shape[1:3], 1], g.dtype), pads), places, steps)
    share = g / tf.add_n(inside)
    return _put_back([share] * len(places), places, steps, pads, shape)


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The cross-entropies and their gradients by the logits."""
    log_p = logits - tf.reduce_max(logits, -1, keepdims=True)
    log_p -= tf.math.log(tf.reduce_sum(tf.exp(log_p), -1, keepdims=True))
    return -tf.reduce_sum(labels * log_p, -1), tf.exp(log_p) - labels


def _sparse_cross_entropy(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    logits, labels = given
    return _cross_entropy(tf.one_hot(tf.cast(labels, tf.int32), logits.shape[-1], dtype=logits.dtype), logits)


def _concat_offset(operation: tf.Operation, given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    axis, *shapes = (_known(tensor, operation) for tensor in given)
    offsets, total = [], 0
    for shape in shapes:
        offset = np.zeros_like(shape)
        offset[axis], total = total, total + shape[axis]
        offsets.append(tf.constant(offset))
    return offsets


def _floor_mod(operation: tf.Operation, given: Sequence[tf.Tensor]) -> tf.Tensor:
    """Computed here where it can be: TensorFlow wraps axes with it, which `_known` is asked for."""
    values = [tf.get_static_value(tensor) for tensor in given]
    known = all(value is not None for value in values)
    return tf.constant(np.mod(*values), given[0].dtype) if known else tf.math.floormod(*given)


def _shapes(operation: tf.Operation, given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    return [tf.constant(x.shape.as_list(), operation.get_attr("out_type")) for x in given]


def _pointwise(function: Callable[..., Any]) -> Replacement:
    return lambda operation, given: function(*given)


#: by the type of the operation that is replaced
FOR_ONNX: dict[str, Replacement] = {"Erfc": _pointwise(lambda x: 1.0 - tf.math.erf(x))}
FOR_LITERT: dict[str, Replacement] = {
    "AvgPoolGrad": _avg_pool_grad,
    "BiasAddGrad": _pointwise(lambda g: tf.reduce_sum(g, list(range(g.shape.rank - 1)))),
    "ConcatOffset": _concat_offset,
    "Conv2D": _conv2d,
    "Conv2DBackpropFilter": _conv2d_by_kernel,
    "Conv2DBackpropInput": _conv2d_by_input,
    "DepthwiseConv2dNativeBackpropFilter": _depthwise_by_kernel,
    "DepthwiseConv2dNativeBackpropInput": _depthwise_by_input,
    "EluGrad": _pointwise(lambda g, y: tf.where(y < 0.0, g * (y + 1.0), g)),
    "FloorMod": _floor_mod,
    "LeakyReluGrad": lambda op, given: tf.where(given[1] > 0.0, given[0], op.get_attr("alpha") * given[0]),
    "MaxPoolGrad": _max_pool_grad,
    "ReluGrad": _pointwise(lambda g, y: tf.where(y > 0.0, g, 0.0)),
    "Relu6Grad": _pointwise(lambda g, y: tf.where(tf.logical_and(y > 0.0, y < 6.0), g, 0.0)),
    "RsqrtGrad": _pointwise(lambda y, g: -0.5 * g * y * y * y),
    "Shape": _shapes,
    "ShapeN": _shapes,
    "SigmoidGrad": _pointwise(lambda y, g: g * y * (1.0 - y)),
    "SoftmaxCrossEntropyWithLogits": _pointwise(lambda logits, labels: _cross_entropy(labels, logits)),
    "Softplus": _pointwise(lambda x: tf.maximum(x, 0.0) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))),
    "SoftplusGrad": _pointwise(lambda g, x: g * tf.sigmoid(x)),
    "SparseSoftmaxCrossEntropyWithLogits": _sparse_cross_entropy,
    "SqrtGrad": _pointwise(lambda y, g: 0.5 * g / y),
    "StridedSliceGrad": _strided_slice_grad,
    "TanhGrad": _pointwise(lambda y, g: g * (1.0 - y * y)),
}
