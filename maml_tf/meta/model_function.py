"""A Keras model as a pure function of its weights and its state."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

BatchNormStatistics = Literal["batch", "running"]


class Call(NamedTuple):
    """What one call of a model gives.

    Attributes:
        outputs: the model's output, a tensor or a structure.
        state: the values of the state variables after the call, in the order of `ModelFunction.state_variables`, then
            those of the seed generators.
        losses: `model.losses` of this call, scalars: regularisers, activity regularisers, `add_loss`.
    """

    outputs: Any
    state: list[tf.Tensor]
    losses: list[tf.Tensor]


class ModelFunction:
    """Calls a Keras model with explicit weights and explicit state, and assigns nothing.

    State is what the layers themselves change when they are called. There are three kinds.

    * Running statistics and other floating-point variables: `state_variables`. They are carried from call to call.
    * Seed generators, as Dropout has: every call moves them on, so that it draws a mask that no other call draws.
    * Variables of another type, a counter for example, have no mean over tasks. A model that changes one is refused.

    Keras' BatchNormalization normalises in a call with `training=True` by the statistics of the batch and otherwise by
    its running ones. A frozen one (`trainable=False`) always uses the running ones, which never change then.
    `tf.nn.moments`, with which Keras computes statistics, is replaced by an exact form during the call: TensorFlow's
    stops the gradient at the mean, so that the second derivative, and with it the meta-gradient, would be wrong.
    Recurrent layers do not use cuDNN, which has no second derivative.

    Args:
        model: a built Keras model.
        training: the value of Keras' argument `training` in meta-training.
        batch_norm: "batch": BatchNormalization always uses the statistics of the batch it is given, as the paper; it
            has no running ones then. "running": it uses them in predictions.

    Attributes:
        state_variables: the variables of the first kind, in the order of the state.

    Raises:
        ValueError: `batch_norm` is not known, a BatchNormalization with `renorm` is to do without running ones, or a
            layer has variables that Keras does not know.
    """

    def __init__(self, model: keras.Model, training: bool = True, batch_norm: BatchNormStatistics = "batch"):
        if batch_norm not in ("batch", "running"):
            raise ValueError(f"batch_norm is {batch_norm!r}; allowed are 'batch' and 'running'")
        self.model, self.training, self.batch_norm = model, bool(training), batch_norm
        self.layers = model._flatten_layers()
        for layer in self.layers:
            _refuse_raw_variables(layer)
        self.norms = [layer for layer in self.layers if isinstance(layer, keras.layers.BatchNormalization)]
        for norm in self.norms:
            if norm.trainable and batch_norm == "batch" and getattr(norm, "renorm", False):
                raise ValueError(f"layer {norm.name} has renorm=True, which needs batch_norm='running'")
        of_norms = [v for norm in self.norms if self._ignores_statistics(norm) for v in norm.non_trainable_variables]
        self._unused = {id(variable) for variable in of_norms}
        self.state_variables = [
            variable
            for layer in self.layers
            if layer.trainable
            for variable in layer._non_trainable_variables
            if id(variable) not in self._unused and _is_floating(variable)
        ]
        self.seed_variables = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]

    def initial_state(self) -> list[tf.Tensor]:
        """The state variables' own values, without the seeds."""
        return [tf.convert_to_tensor(variable) for variable in self.state_variables]

    def seeds(self, seed: tf.Tensor | Sequence[int]) -> list[tf.Tensor]:
        """A state for each seed generator of the model, made of one stateless seed, int32 [2]."""
        return [
            tf.cast(tf.random.fold_in(tf.convert_to_tensor(seed), index, alg="philox"), variable.dtype)
            for index, variable in enumerate(self.seed_variables)
        ]

    def task_seeds(self, seed: tf.Tensor | Sequence[int] | None, num_tasks: int) -> tuple[tf.Tensor, ...]:
        """(seeds [T, 2],): one for each task; () for a model that draws nothing."""
        if not self.seed_variables:
            return ()
        return (seeds_of_tasks(seed, num_tasks),)

    def __reduce__(self):
        return ModelFunction, (self.model, self.training, self.batch_norm)

    def __call__(
        self,
        weights: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        x: Any,
        *,
        training: bool = False,
        predicts: bool = True,
    ) -> Call:
        """Calls the model.

        Args:
            weights: in the order of `model.trainable_variables`.
            state: in the order of `state_variables`, then the seed generators' (theirs may be left out: then they start
                from their own values).
            x: a tensor or a structure, as the model takes it.
            training: Keras' argument: Dropout and the like are on.
            predicts: whether the call predicts, in place of being a part of an adaptation. With running statistics it
                uses them and does not change them.

        Raises:
            ValueError: a layer changes a variable that cannot be carried.
        """
        norms_train = self.batch_norm == "batch" or training or (self.training and not predicts)
        seeds = state[len(self.state_variables) :] or [tf.convert_to_tensor(v) for v in self.seed_variables]
        carried = [*self.state_variables, *self.seed_variables]
        with _Scope(collect_losses=True) as scope, _exact_moments(), self._patched_layers(norms_train and not training):
            for variable, value in zip(self.model.trainable_variables, weights, strict=True):
                scope.add_update((variable, value))
            for variable, value in zip(carried, [*state[: len(self.state_variables)], *seeds], strict=True):
                scope.add_update((variable, value))
            scope.changed.clear()
            outputs = self.model(x, training=training)
            losses = self.model.losses
        self._check(scope.changed, carried)
        after: list[Any] = [scope.get_current_value(variable) for variable in carried]
        for variable, value in zip(carried, after, strict=True):
            if not tf.executing_eagerly() and getattr(value, "graph", None) not in (
                None,
                tf.compat.v1.get_default_graph(),
            ):
                raise ValueError(
                    f"the model changes its variable {variable.path} inside a TensorFlow loop or condition, where its "
                    "new value cannot be carried out of"
                )
        return Call(outputs, after, list(losses))

    def constrained(self, weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The weights after the constraints of their variables, where they have one."""
        return [
            weight if variable.constraint is None else variable.constraint(weight)
            for variable, weight in zip(self.model.trainable_variables, weights, strict=True)
        ]

    def statistics_of(self, weights: Sequence[tf.Tensor], x: Any) -> list[tuple[keras.Variable, tf.Tensor]]:
        """(variable, value) of the running statistics that BatchNormalization has if it has seen x alone."""
        norms = [norm for norm in self.norms if self._ignores_statistics(norm)]
        variables = [norm_variable for norm in norms for norm_variable in (norm.moving_mean, norm.moving_variance)]
        with contextlib.ExitStack() as stack:
            for norm in norms:
                stack.enter_context(_replaced(norm, "momentum", 0.0))
            scope = stack.enter_context(_Scope())
            stack.enter_context(self._patched_layers(True))
            for variable, value in zip(self.model.trainable_variables, weights, strict=True):
                scope.add_update((variable, value))
            self.model(x, training=False)
            return [(variable, tf.convert_to_tensor(variable)) for variable in variables]

    def _ignores_statistics(self, norm):
        """Whether a BatchNormalization never uses its running statistics."""
        return self.batch_norm == "batch" and norm.trainable

    def _check(self, changed, carried):
        """Raises if a variable was changed that is neither carried nor without use."""
        known = {id(variable) for variable in carried} | self._unused
        own = {id(variable) for variable in self.model.variables}
        for variable in changed:
            if id(variable) not in known:
                place = f"{variable.path} ({'a weight' if variable.trainable else variable.dtype})"
                raise ValueError(
                    f"the model changes {place} when it is called, which cannot be carried from task to task. "
                    + (
                        "Seed generators can, and floating-point variables that are not weights"
                        if id(variable) in own
                        else "It is not one of the model's variables: a recurrent layer may not be stateful, and a "
                        "layer that draws random numbers needs a keras.random.SeedGenerator as one of its attributes"
                    )
                )

    @contextlib.contextmanager
    def _patched_layers(self, norms_train: bool) -> Iterator[None]:
        """In this context BatchNormalization uses the batch's statistics, if asked to, and nothing uses cuDNN."""
        with contextlib.ExitStack() as stack:
            for norm in self.norms if norms_train else ():
                stack.enter_context(_replaced(norm, "call", _in_training(norm.call)))
            for layer in self.layers:
                if getattr(layer, "use_cudnn", False):
                    stack.enter_context(_replaced(layer, "use_cudnn", False))
            yield


def seeds_of_tasks(seed: tf.Tensor | Sequence[int] | None, num_tasks: int) -> tf.Tensor:
    """A stateless seed for each task, int32 [T, 2].

    Args:
        seed: of the batch, int32 [2]; None for (0, 0). The tasks' own seeds [T, 2] are returned as they are.
        num_tasks: T.
    """
    given: Any = tf.convert_to_tensor((0, 0) if seed is None else seed)
    return given if given.shape.rank == 2 else tf.random.split(given, num_tasks, alg="philox")


class _Scope(keras.StatelessScope):
    """A StatelessScope that knows which variables were changed in it."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.changed: list[keras.Variable] = []

    def add_update(self, update):
        self.changed.append(update[0])
        super().add_update(update)


def exact_moments(
    x: tf.Tensor, axes: Sequence[int], shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """`tf.nn.moments`, exact in every derivative. TensorFlow's stops the gradient at the mean inside the variance."""
    x = tf.convert_to_tensor(x)
    exact = tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x
    mean = tf.reduce_mean(exact, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(exact - mean), axes, keepdims=True)
    if not keepdims:
        mean, variance = tf.squeeze(mean, axes), tf.squeeze(variance, axes)
    return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


@contextlib.contextmanager
def _exact_moments() -> Iterator[None]:
    """In this context `tf.nn.moments`, which Keras' layers call, is exact in its second derivative."""
    before = tf.nn.moments
    tf.nn.moments = exact_moments
    try:
        yield
    finally:
        tf.nn.moments = before


@contextlib.contextmanager
def _replaced(layer: keras.layers.Layer, name: str, value: Any) -> Iterator[None]:
    """In this context an attribute of a layer has another value."""
    attributes = layer.__dict__
    before = {name: attributes[name]} if name in attributes else {}
    attributes[name] = value
    try:
        yield
    finally:
        del attributes[name]
        attributes.update(before)


def _in_training(call: Callable[..., Any]) -> Callable[..., Any]:
    """A BatchNormalization's `call` with `training=True`."""

    def in_training(inputs, training=None, mask=None):
        return call(inputs, training=True, mask=mask)

    return in_training


def _refuse_raw_variables(layer: keras.layers.Layer) -> None:
    """Raises if an attribute of a layer is a variable of TensorFlow, which Keras neither lists nor saves."""
    for name, value in layer.__dict__.items():
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
        if not name.startswith("_") and any(isinstance(part, tf.Variable) for part in parts):
            raise ValueError(
                f"layer {layer.name}: its attribute {name!r} is a tf.Variable, which Keras neither lists, trains nor "
                "carries: make it with add_weight, or as a keras.Variable"
            )


def _is_floating(variable: keras.Variable) -> bool:
    return tf.as_dtype(variable.dtype).is_floating
