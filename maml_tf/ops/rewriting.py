"""A TensorFlow graph with some of its operations replaced by others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from maml_tf.errors import UsageError

#: (operation of the old graph, inputs in the new one) -> its outputs
Replacement = Callable[[tf.Operation, Sequence[tf.Tensor]], Any]


#: operations that call functions
WITH_FUNCTIONS = {
    *("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"),
    *("PartitionedCall", "StatefulPartitionedCall"),
}


def with_replacements(
    graph: tf.Graph, inputs: Sequence[Any], outputs: Sequence[Any], replacements: Mapping[str, Replacement]
) -> Callable[..., list[Any]]:
    """A function like a graph, with some of its operations replaced.

    Args:
        graph: without variables and function calls, all shapes known.
        inputs: placeholders of the graph.
        outputs: tensors of the graph.
        replacements: by the type of the operation, as in `maml_tf/ops/built_in.py`.

    Returns:
        A function of tensors, in the order of `inputs`, that returns a list in the order of `outputs`. It raises a
        UsageError where an operation has a form that cannot be replaced.

    Raises:
        UsageError: the graph has a loop, a condition or a function call.
    """
    needed = _needed(outputs)
    for operation in needed:
        if operation.type in WITH_FUNCTIONS:
            raise UsageError(
                f"the model, the loss or a gradient of them has a loop, a condition or a compiled function "
                f"({operation.type} {operation.name}), which cannot be converted"
            )

    def function(*values: tf.Tensor) -> list[tf.Tensor]:
        new: dict[str, Any] = {tensor.name: value for tensor, value in zip(inputs, values, strict=True)}
        for operation in graph.get_operations():
            if operation not in needed or operation.type == "Placeholder":
                continue
            given = [new[tensor.name] for tensor in operation.inputs]
            replace = replacements.get(operation.type, _copied)
            found = replace(operation, given)
            found = list(found) if isinstance(found, (list, tuple)) else [found]
            new |= {tensor.name: value for tensor, value in zip(operation.outputs, found, strict=True)}
        return [new[tensor.name] for tensor in outputs]

    return function


def _needed(outputs: Sequence[Any]) -> set[tf.Operation]:
    """The operations that tensors are computed by."""
    needed: set[tf.Operation] = set()
    waiting = [tensor.op for tensor in outputs]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]
    return needed


def _copied(operation: tf.Operation, given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The same operation in the current graph."""
    graph, types = tf.compat.v1.get_default_graph(), [tensor.dtype for tensor in operation.outputs]
    attributes = {name: value for name, value in operation.node_def.attr.items() if not name.startswith("_")}
    return graph.create_op(operation.type, list(given), types, attrs=attributes, op_def=operation.op_def).outputs
