"""Which weights the inner loop adapts: functions of a Keras variable, for MAML's `adaptable`.

A spec names one of them with the key `inner.adaptable`. Another one is a function that is registered:

    @ADAPTABLE.register("kernels")
    def kernels(variable): return variable.name == "kernel"
"""

import dataclasses
from collections.abc import Callable

import keras

from maml_tf._registry import Registry
from maml_tf.errors import UsageError
from maml_tf.meta.arguments import built_model


@dataclasses.dataclass(frozen=True)
class ByModel:
    """A choice of adaptable weights that depends on the model, such as its last layer.

    Attributes:
        choice: a function of a built model that returns a function of a Keras variable.
    """

    choice: Callable[[keras.Model], Callable[[keras.Variable], bool]]


Adaptable = Callable[[keras.Variable], bool] | ByModel

ADAPTABLE: Registry[Adaptable] = Registry("choice of adaptable weights")


@ADAPTABLE.register("all_but_norm_offsets")
def all_but_norm_offsets(variable: keras.Variable) -> bool:
    """All weights but batch norm's offset `beta` (and scale `gamma`): the authors' choice (PROTOCOL 1.2)."""
    return variable.name not in ("beta", "gamma")


@ADAPTABLE.register("context_vector")
def only_context(variable: keras.Variable) -> bool:
    """The context vector z alone (Appendix C.2, PROTOCOL 2.7)."""
    return variable.name == "context"


def chosen_weights(model: keras.Model, adaptable: Adaptable) -> list[bool]:
    """Whether the inner loop adapts each of a model's trainable weights.

    Raises:
        UsageError: the model is not built, `adaptable` is no function, or it chooses no weight.
    """
    variables = built_model(model).trainable_variables
    adaptable = adaptable.choice(model) if isinstance(adaptable, ByModel) else adaptable
    if not callable(adaptable):
        raise UsageError(f"adaptable: {adaptable!r} is not allowed; expected a function of a keras.Variable")
    chosen = [bool(adaptable(variable)) for variable in variables]
    if not any(chosen):
        paths = ", ".join(variable.path for variable in variables)
        raise UsageError(f"adaptable: it chooses none of the weights of {model.name}: {paths}")
    return chosen
