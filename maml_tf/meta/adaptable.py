"""Which weights the inner loop adapts: functions of a Keras variable, for MAML's `adaptable`.

A spec names one of them with the key `inner.adaptable`. Another one is a function that is registered:

    @ADAPTABLE.register("output_layer")
    def output_layer(variable): return "output" in variable.path.split("/")
"""

from collections.abc import Callable

import keras

from maml_tf._registry import Registry

ADAPTABLE: Registry[Callable[[keras.Variable], bool]] = Registry("choice of adaptable weights")


@ADAPTABLE.register("all_but_norm_offsets")
def all_but_norm_offsets(variable: keras.Variable) -> bool:
    """All weights but batch norm's offset `beta` (and scale `gamma`): the authors' choice (PROTOCOL 1.2)."""
    return variable.name not in ("beta", "gamma")


@ADAPTABLE.register("context_vector")
def only_context(variable: keras.Variable) -> bool:
    """The context vector z alone (Appendix C.2, PROTOCOL 2.7)."""
    return variable.name == "context"
