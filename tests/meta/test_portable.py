"""LiteRT and ONNX models give the numbers of TensorFlow, with their own operations only, and name what they lack."""

import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta import losses
from maml_tf.meta.maml import MAML
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def classifier(network, side, channels=1):
    """A learner with one inner step, and a support and query set of three classes."""
    learner = MAML(network((side, side, channels), 3, 2), losses.mean_cross_entropy, 0.4, 1)
    labels = np.array([2, 0, 1], np.int32)
    return learner, numbers(3, side, side, channels), labels, numbers(4, side, side, channels)


def regressor():
    learner = MAML(MLP(1, (5, 5), 1), losses.mean_squared_error, 0.1, 2)
    return learner, numbers(5, 1), numbers(5, 1), numbers(4, 1)


CASES = {
    "omniglot": lambda: classifier(OmniglotConv, 8),
    "mini_imagenet": lambda: classifier(MiniImagenetConv, 16, 2),
    "sinusoid": regressor,
}


def interpreter(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the interpreter moves to another package
        return tf.lite.Interpreter(str(path))


@pytest.mark.parametrize("case", CASES)
def test_litert_adapts_with_built_in_operations_only(case, tmp_path):
    learner, x, y, new = CASES[case]()
    params = [value + 0.1 for value in learner.initial_params()]  # not the model's own
    learner.export_litert(tmp_path / "adapt.tflite", x, y, queries=4, params=params)
    model = interpreter(tmp_path / "adapt.tflite")
    names = {operation["op_name"] for operation in model._get_ops_details()}
    assert names
    assert not [name for name in names if name.startswith("Flex") or "CUSTOM" in name or name != name.upper()]
    x, y = x[::-1].copy(), np.roll(y, 1, axis=0)  # another task
    found = model.get_signature_runner()(support_x=x, support_y=y, query_x=new)["predictions"]
    before = learner.forward(params, new)
    expected = learner.adapt(x, y, params=params)(new)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - before).max() > 0.01  # the steps do something


@pytest.mark.parametrize("case", CASES)
def test_onnx_predicts_as_the_adapted_model(case, tmp_path):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'maml_tf[onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'maml_tf[onnx]'")
    learner, x, y, new = CASES[case]()
    adapted = learner.adapt(x, y)
    adapted.export(tmp_path / "adapted.onnx", format="onnx")
    session = runtime.InferenceSession(tmp_path / "adapted.onnx")
    assert [entry.name for entry in session.get_inputs()] == ["x"]
    for rows in (new, new[:3]):
        found = session.run(["predictions"], {"x": rows})[0]
        np.testing.assert_allclose(found, adapted(rows), rtol=1e-4, atol=1e-5)


def test_structures_and_operations_that_the_runtimes_lack(tmp_path):
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((1,), name="b")}
    joined = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
    learner = MAML(keras.Model(inputs, {"u": keras.layers.Dense(1)(joined)}), losses.mean_squared_error, 0.1, 1)
    x, y = {"a": numbers(4, 2), "b": numbers(4, 1)}, {"u": numbers(4, 1)}
    learner.export_litert(tmp_path / "two.tflite", x, y, queries=4)
    named = {"support_x_a": x["a"], "support_x_b": x["b"], "support_y_u": y["u"]}
    queries = {"query_x_a": x["a"], "query_x_b": x["b"]}
    found = interpreter(tmp_path / "two.tflite").get_signature_runner()(**named, **queries)["predictions_u"]
    np.testing.assert_allclose(found, learner.adapt(x, y)(x)["u"], rtol=1e-5, atol=1e-6)

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "gelu"), keras.layers.Dense(3)])
    learner = MAML(model, losses.mean_cross_entropy, 0.1, 1)
    with pytest.raises(UsageError, match="no built-in operation for Erfc"):
        learner.export_litert(tmp_path / "gelu.tflite", numbers(3, 2), np.arange(3), queries=1)
    assert not (tmp_path / "gelu.tflite").exists()


def test_arguments_are_named_before_anything_is_converted(tmp_path, monkeypatch):
    learner, x, y, _ = regressor()
    path = tmp_path / "adapt.tflite"
    with pytest.raises(UsageError, match="queries: 0 is not allowed"):
        learner.export_litert(path, x, y, queries=0)
    with pytest.raises(UsageError, match="x: there are no examples"):
        learner.export_litert(path, x[:0], y[:0], queries=1)
    with pytest.raises(UsageError, match="is a folder"):
        learner.export_litert(tmp_path, x, y, queries=1)
    double = MAML(MLP(1, (5,), 1, dtype="float64"), losses.mean_squared_error, 0.1, 1)
    with pytest.raises(UsageError, match="weights of float64 are not allowed; expected float32"):
        double.export_litert(path, x.astype(np.float64), y.astype(np.float64), queries=1)
    adapted = learner.adapt(x, y)
    with pytest.raises(UsageError, match="format: 'tflite' is not allowed; expected 'tf_saved_model' or 'onnx'"):
        adapted.export(path, format="tflite")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UsageError, match=r"needs tf2onnx, which is not installed: pip install 'maml_tf\[onnx\]'"):
        adapted.export(path, format="onnx")
    assert not list(tmp_path.iterdir())
