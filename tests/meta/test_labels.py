"""Labels against predictions: what is cast, what gets or loses an axis, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.labels import fit_classes, fit_unknown, fit_values
from maml_tf.meta.losses import accuracy, cross_entropy_over_shots, mean_cross_entropy, mean_squared_error

OUTPUTS = np.array([[1.0], [3.0], [5.0]], np.float32)
LOGITS = np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]], np.float32)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([1.0, 2.0, 3.0], np.float32),  # [n]: broadcasting against [n, 1] would give [n, n]
        np.array([[1.0], [2.0], [3.0]]),  # float64
        np.array([[1], [2], [3]]),  # whole numbers
        np.array([1, 2, 3], np.uint8),
        [1, 2, 3],
        tf.constant([[1.0], [2.0], [3.0]], tf.float16),
    ],
    ids=["without-the-last-axis", "float64", "int64", "uint8", "list", "float16"],
)
def test_the_squared_error_is_that_of_the_rows(labels):
    assert float(mean_squared_error(labels, OUTPUTS)) == pytest.approx((0 + 1 + 4) / 3)


@pytest.mark.parametrize("values", [np.zeros((2, 3)), np.zeros((2, 3, 1))], ids=["without-the-last-axis", "whole"])
def test_labels_with_a_task_axis_fit_too(values):
    np.testing.assert_allclose(mean_squared_error(values, np.stack([OUTPUTS, 2 * OUTPUTS])), [35 / 3, 140 / 3])


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        (np.zeros(3), np.zeros((3, 2)), r"labels of shape \[3\] do not fit predictions of shape \[3, 2\]"),
        (np.zeros((3, 1)), np.zeros((3, 2)), r"labels of shape \[3, 1\] do not fit predictions of shape \[3, 2\]"),
        (np.zeros((1, 1)), np.zeros((3, 1)), r"labels of shape \[1, 1\] do not fit predictions of shape \[3, 1\]"),
        (np.zeros((2, 1)), np.zeros((3, 1)), r"labels of shape \[2, 1\]"),
        (0.0, np.zeros((3, 1)), r"labels of shape \[\]"),
        (np.array(["a", "b"]), np.zeros((2, 1)), "labels: an array of string is not allowed; expected numbers"),
        (None, np.zeros((2, 1)), "labels: NoneType is no array of numbers"),
        ([[1], [1, 2]], np.zeros((2, 1)), "labels: list is no array of numbers"),
    ],
)
def test_values_that_do_not_fit_are_named(labels, predictions, message):
    with pytest.raises(UsageError, match=message):
        fit_values(labels, predictions)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0], [1], [0]]),  # [n, 1]
        np.array([0.0, 1.0, 0.0], np.float32),
        np.array([0.0, 1.0, 0.0]),
        np.array([0, 1, 0], np.uint8),
        np.array([0, 1, 0], np.int8),
        np.array([False, True, False]),
        tf.constant([[0.0], [1.0], [0.0]]),
    ],
    ids=["column", "float32", "float64", "uint8", "int8", "bool", "float-column"],
)
def test_class_numbers_of_every_type_are_the_same_classes(labels):
    assert float(accuracy(labels, LOGITS)) == pytest.approx(2 / 3)
    expected = float(mean_cross_entropy(np.array([0, 1, 0], np.int32), LOGITS))
    assert float(mean_cross_entropy(labels, LOGITS)) == pytest.approx(expected)
    assert float(cross_entropy_over_shots(1)(labels, LOGITS)) == pytest.approx(3 * expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 7], "labels: 7 is not allowed; expected 0 to 2, one of 3 classes"),
        ([0, 1, 3], "labels: 3 is not allowed"),
        ([-1, 0, 1], "labels: -1 is not allowed"),
        ([0.0, 0.5, 1.0], "labels: 0.5 is not allowed; expected the whole number of a class"),
        ([0.0, np.nan, 1.0], "labels: nan is not allowed"),
        ([0, 1], r"labels of shape \[2\] do not fit predictions of shape \[3, 3\]: one class number for each row"),
        (np.eye(3), r"labels of shape \[3, 3\].*: class numbers are expected.*one-hot labels they are the argmax"),
        (np.zeros((3, 2)), r"labels of shape \[3, 2\] for predictions of shape \[3, 3\]"),
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", [accuracy, mean_cross_entropy, cross_entropy_over_shots(1)], ids=lambda f: f.__name__)
def test_class_numbers_that_are_none_are_named(loss, labels, message):
    with pytest.raises(UsageError, match=message):
        loss(labels, LOGITS)


def test_class_numbers_need_an_output_for_each_class():
    with pytest.raises(UsageError, match=r"shape \[3, 1\] hold one number a row"):
        mean_cross_entropy([0, 0, 0], OUTPUTS)


def test_an_ignored_label_is_allowed():
    labels, _ = fit_classes([0, 255, 2], LOGITS, ignored=255)
    np.testing.assert_array_equal(labels, [0, 255, 2])
    with pytest.raises(UsageError, match="labels: 254"):
        fit_classes([254, 255, 2], LOGITS, ignored=255)


@pytest.mark.parametrize(
    ("labels", "predictions", "shape", "dtype"),
    [
        (np.zeros(3), OUTPUTS, (3, 1), "float32"),
        (np.zeros((3, 1)), OUTPUTS[:, 0], (3,), "float32"),
        (np.zeros((3, 1), np.int64), OUTPUTS, (3, 1), "float32"),
        (np.zeros(3, np.int64), LOGITS, (3,), "int64"),
        (np.zeros((3, 1), np.int64), LOGITS, (3, 1), "int64"),
    ],
)
def test_labels_for_an_unknown_loss_change_only_where_they_would_be_broadcast(labels, predictions, shape, dtype):
    fitted, _ = fit_unknown(labels, predictions)
    assert (fitted.shape, fitted.dtype.name) == (shape, dtype)
