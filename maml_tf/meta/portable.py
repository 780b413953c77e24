"""Adaptations for LiteRT, and adapted models for ONNX: runtimes without TensorFlow.

Both are traced in the plain forms of this library's layers (`maml_tf/ops/plain.py`), with the weights as constants.
"""

import importlib
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf._io import atomic_write, check_writable
from maml_tf.errors import UsageError
from maml_tf.meta.learner import Learner
from maml_tf.ops.built_in import FOR_LITERT, FOR_ONNX
from maml_tf.ops.plain import plain_forms
from maml_tf.ops.rewriting import Replacement, with_replacements

#: (theta, (x, y)) -> theta after the inner steps
AfterSteps = Callable[[Sequence[tf.Tensor], Any], list[tf.Tensor]]


def write_litert(
    learner: Learner, after_steps: AfterSteps, params: Sequence[tf.Tensor], support: Any, queries: int, path: Any
) -> None:
    """Writes a LiteRT model: (support_x, support_y, query_x) -> the predictions for query_x after the inner steps.

    Args:
        learner: whose model predicts.
        after_steps: adapts theta to a support set.
        params: theta to start from; it is saved in the model.
        support: (x, y) with the shapes of those to come; the labels become int32 if they are integers.
        queries: number of rows of query_x.
        path: of the file.

    Raises:
        UsageError: the path cannot be written, or the adaptation has something that LiteRT lacks.
    """
    path = _writable(path)
    strange = sorted({param.dtype.name for param in params if param.dtype != tf.float32})
    if strange:
        raise UsageError(f"export_litert: weights of {', '.join(strange)} are not allowed; expected float32")
    fixed = [param.numpy() for param in params]
    examples = (*support, tf.nest.map_structure(lambda leaf: leaf[:1], support[0]))
    rows = (None, None, queries)
    specs = [
        named_specs(name, part, size)
        for name, part, size in zip(("support_x", "support_y", "query_x"), examples, rows, strict=True)
    ]

    def adapt_and_predict(*flat):
        x, y, query = tf.nest.pack_sequence_as(specs, flat)
        return learner.forward(after_steps([tf.constant(value) for value in fixed], (x, y)), query)

    flat_specs = tf.nest.flatten(specs)
    try:
        function = _rewritten(adapt_and_predict, flat_specs, FOR_LITERT)
        converted = _converted(lambda **inputs: function(*(inputs[spec.name] for spec in flat_specs)), flat_specs)
    except UsageError as error:
        raise UsageError(f"export_litert: {error}") from None
    with atomic_write(path, "wb") as file:
        file.write(converted)


def _rewritten(
    function: Callable[..., Any], specs: Sequence[tf.TensorSpec], replacements: Mapping[str, Replacement]
) -> Callable[..., dict[str, tf.Tensor]]:
    """The function in plain forms with operations replaced: tensors -> its outputs by name.

    Raises:
        UsageError: it has a loop, a condition or a function call.
    """
    names: list[str] = []

    def flat(*inputs):
        outputs = function(*inputs)
        names[:] = _outputs(outputs)
        return tf.nest.flatten(outputs)

    with plain_forms():
        traced = tf.function(flat, autograph=False).get_concrete_function(*specs)
    constants = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    frozen = constants.convert_variables_to_constants_v2(traced, lower_control_flow=False)
    new = with_replacements(frozen.graph, frozen.inputs, frozen.outputs, replacements)
    return lambda *inputs: dict(zip(names, new(*inputs), strict=True))


def _converted(function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> bytes:
    """A LiteRT model of built-in operations only."""
    try:
        signature = tf.function(function, autograph=False).get_concrete_function(**{spec.name: spec for spec in specs})
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(tf.Module(), folder, signatures=signature)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            return converter.convert()
    except UsageError:
        raise
    except Exception as error:  # the converter's own class is not public
        lacking = re.findall(r"(?:Select|Flex|Custom) [oO]ps: ([\w, ]+)", str(error))
        if not lacking:
            raise
        names = ", ".join(dict.fromkeys(", ".join(lacking).split(", ")))
        raise UsageError(
            f"LiteRT has no built-in operation for {names}, which the model, the loss or a gradient of them uses"
        ) from error


def write_onnx(
    call: Callable[..., Any], params: Sequence[tf.Tensor], state: Sequence[tf.Tensor], x: Any, path: Any
) -> None:
    """Writes an ONNX model: x with any number of rows -> the outputs.

    Args:
        call: (params, state, x) -> outputs.
        params, state: of the adapted model; they are saved in the file.
        x: an input, for types and shapes.
        path: of the file.

    Raises:
        UsageError: tf2onnx is not installed, the path cannot be written, or ONNX lacks an operation of the model.
    """
    path = _writable(path)
    try:
        converter = importlib.import_module("tf2onnx")
    except ImportError:
        raise UsageError(
            "export: format='onnx' needs tf2onnx, which is not installed: pip install 'maml_tf[onnx]'"
        ) from None
    fixed = [[value.numpy() for value in values] for values in (params, state)]
    specs = named_specs("x", x, None, any_rows=True)

    def predict(*flat):
        inputs = tf.nest.pack_sequence_as(specs, flat)
        return call(*([tf.constant(value) for value in values] for values in fixed), inputs)

    def named(*flat):
        outputs = predict(*flat)
        return dict(zip(_outputs(outputs), tf.nest.flatten(outputs), strict=True))

    flat_specs = tf.nest.flatten(specs)
    try:
        function = _rewritten(predict, flat_specs, FOR_ONNX)
    except UsageError:  # tf2onnx converts loops by itself
        function = named
    with plain_forms():
        function = tf.function(function, autograph=False, input_signature=flat_specs)
        model, _ = converter.convert.from_function(function, flat_specs)
    known = {entry.domain for entry in model.opset_import}
    lacking = sorted({node.op_type for node in model.graph.node if node.domain not in known or _is_of_tensorflow(node)})
    if lacking:
        raise UsageError(f"export: ONNX has no operation for {', '.join(lacking)}, which the model uses")
    with atomic_write(path, "wb") as file:
        file.write(model.SerializeToString())


def _is_of_tensorflow(node: Any) -> bool:
    """Whether a node is left as TensorFlow had it, which no runtime knows."""
    onnx = importlib.import_module("onnx")
    return not node.domain and not onnx.defs.has(node.op_type)


def named_specs(name: str, structure: Any, rows: int | None, any_rows: bool = False) -> Any:
    """A TensorSpec for each leaf of a structure, named `name`, or `name_path` where there are several.

    Args:
        name: of the structure.
        structure: of tensors.
        rows: the size of the first axis; by default that of the leaf.
        any_rows: the first axis may have any size.
    """
    leaves = keras.tree.flatten_with_path(structure)
    specs = []
    for where, leaf in leaves:
        dtype = tf.int32 if leaf.dtype.is_integer else leaf.dtype
        shape = [None if any_rows else rows or leaf.shape[0], *leaf.shape[1:]]
        specs.append(tf.TensorSpec(shape, dtype, re.sub(r"\W", "_", "_".join([name, *map(str, where)]))))
    return tf.nest.pack_sequence_as(structure, specs)


def _outputs(structure: Any) -> list[str]:
    """A name for each output."""
    return ["_".join(["predictions", *map(str, where)]) for where, _ in keras.tree.flatten_with_path(structure)]


def _writable(path: str | os.PathLike) -> pathlib.Path:
    path = pathlib.Path(path)
    check_writable(path.parent, "the file's parent folder")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; expected the path of a file")
    return path
