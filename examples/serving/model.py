"""A SavedModel of `learner.export`, as functions of NumPy arrays. It needs TensorFlow and not this library."""

import collections
import dataclasses
import secrets
import threading
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .checks import Refused, check_classes, read_array, read_object

ENDPOINTS = ("adapt", "adapt_tasks", "predict", "adapt_and_predict", "adapt_and_predict_tasks")
ADAPT = ("support_x", "support_y")
ADAPT_AND_PREDICT = (*ADAPT, "query_x")


@dataclasses.dataclass(frozen=True)
class Input:
    """What a field of a request must be: the shape, with None for any number of rows, and the type."""

    shape: tuple[int | None, ...]
    dtype: np.dtype


class Served:
    """The model and the weights of its users.

    Args:
        folder: of the SavedModel.
        most_rows: the largest number of rows of query_x.
        most_users: the number of users whose weights are kept. Those that were not used for the longest time go first.

    Raises:
        SystemExit: the folder is no such SavedModel.
    """

    def __init__(self, folder: str, most_rows: int = 100, most_users: int = 1000):
        try:
            self.model: Any = tf.saved_model.load(folder)
        except OSError as error:
            raise SystemExit(f"{folder}: is no SavedModel that can be read: {error}") from None
        lacking = [name for name in ENDPOINTS if name not in self.model.signatures]
        if lacking:
            raise SystemExit(f"{folder}: has no {', '.join(lacking)}; expected a SavedModel that learner.export wrote")
        signature = self.model.signatures["adapt_and_predict"]
        specs = signature.structured_input_signature[1]
        if set(specs) != set(ADAPT_AND_PREDICT):
            raise SystemExit(
                f"{folder}: takes {', '.join(specs)}; this example serves models with one input and output"
            )
        self.inputs = {
            name: Input(tuple(specs[name].shape), np.dtype(specs[name].dtype.as_numpy_dtype))
            for name in ADAPT_AND_PREDICT
        }
        output = next(iter(signature.structured_outputs.values())).shape
        labels = self.inputs["support_y"]
        of_classes = labels.dtype.kind in "iu" and len(labels.shape) == len(output) - 1 and output[-1] > 1
        self.classes = output[-1] if of_classes else None
        weights = self.model.signatures["adapt"].structured_outputs.values()
        self.weight_bytes = sum(spec.shape.num_elements() * spec.dtype.size for spec in weights)  # of a user
        self.most_rows, self.most_users = most_rows, most_users
        self.users: collections.OrderedDict[str, Any] = collections.OrderedDict()
        self.lock = threading.Lock()  # of `users`
        examples = {name: np.zeros([size or 1 for size in i.shape], i.dtype) for name, i in self.inputs.items()}
        self.run(("adapt_and_predict", 1), [examples] * 2)  # the first call is slow

    def describe(self) -> dict[str, Any]:
        """What requests must hold."""
        inputs = {name: {"shape": list(i.shape), "dtype": i.dtype.name} for name, i in self.inputs.items()}
        limits = {"most_rows": self.most_rows, "most_users": self.most_users, "weight_bytes": self.weight_bytes}
        return {"inputs": inputs, "classes": self.classes, **limits}

    def read(self, body: bytes, names: Sequence[str]) -> dict[str, Any]:
        """The fields of a request: arrays, and the id as it is."""
        fields = read_object(body, names)
        for name in names:
            if name not in self.inputs:
                continue
            allowed = self.inputs[name]
            fields[name] = read_array(name, fields[name], allowed.shape, allowed.dtype, self.most_rows)
        if self.classes is not None and "support_y" in fields:
            check_classes("support_y", fields["support_y"], self.classes)
        return fields

    def run(self, key: Hashable, requests: Sequence[dict[str, np.ndarray]]) -> list[Any]:
        """The results of several requests with the same fields and shapes, as one call.

        Args:
            key: (name of the endpoint, rows of query_x).
            requests: their arrays.
        """
        endpoint, _ = key  # type: ignore[misc]
        if len(requests) == 1:
            found = self._call(endpoint, {name: tf.constant(value) for name, value in requests[0].items()})
            return [found if endpoint == "adapt" else next(iter(found.values()))]
        stacked = {name: tf.constant(np.stack([request[name] for request in requests])) for name in requests[0]}
        found = self._call(f"{endpoint}_tasks", stacked)
        each = [{name: values[index] for name, values in found.items()} for index in range(len(requests))]
        return each if endpoint == "adapt" else [next(iter(values.values())) for values in each]

    def _call(self, name: str, inputs: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
        try:
            return {output: value.numpy() for output, value in self.model.signatures[name](**inputs).items()}
        except tf.errors.InvalidArgumentError as error:
            raise Refused(f"the model refuses the values: {str(error).splitlines()[0][:200]}") from None

    def keep(self, weights: dict[str, np.ndarray]) -> str:
        """Keeps a user's weights; returns the id, which nobody can guess."""
        for name, value in weights.items():
            _check_finite(value, f"the adapted weights {name}")
        user = secrets.token_urlsafe(16)
        with self.lock:
            self.users[user] = {name: value.copy() for name, value in weights.items()}  # not a view of a whole batch
            while len(self.users) > self.most_users:
                self.users.popitem(last=False)
        return user

    def forget(self, user: str) -> None:
        """Removes a user's weights."""
        with self.lock:
            if self.users.pop(user, None) is None:
                raise _unknown()

    def predict(self, user: Any, query_x: np.ndarray) -> np.ndarray:
        """The predictions with the weights of a user."""
        if not isinstance(user, str):
            raise Refused("expected the string that /adapt returned", "id")
        with self.lock:
            if user not in self.users:
                raise _unknown()
            self.users.move_to_end(user)
            weights = self.users[user]
        return self.model.predict(weights, tf.constant(query_x)).numpy()


def as_json(predictions: np.ndarray) -> list:
    """Predictions as nested lists."""
    _check_finite(predictions, "the predictions")
    return predictions.tolist()


def _check_finite(values: np.ndarray, what: str) -> None:
    if not np.isfinite(values).all():
        raise Refused(f"{what} are not finite: the gradient steps on this support set diverge", status=422)


def _unknown() -> Refused:
    return Refused("is not known: it never was given, was removed, or made room for others; adapt again", "id", 404)
