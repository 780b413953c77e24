"""ANIL and BOIL: the inner loop adapts the output layer alone, or everything but the output layer.

ANIL ("almost no inner loop", Raghu et al., 2020) and BOIL ("body only update in inner loop", Oh et al., 2021) are MAML
with another choice of adapted weights. Meta-training changes all of them.

    mt.MAML(model, loss, step_size=0.01, num_steps=5, adaptable=mt.methods.output_layer)
"""

from collections.abc import Callable

import keras

from maml_tf.errors import UsageError
from maml_tf.meta.adaptable import ADAPTABLE, ByModel, all_but_norm_offsets


def _weights_of_output_layer(model: keras.Model) -> set[int]:
    """The ids of the variables of the layer that was made last and has a weight besides a norm's offset and scale.

    Raises:
        UsageError: the model has several outputs, or one layer with weights in all.
    """
    if isinstance(getattr(model, "output_names", None), list) and len(model.output_names) > 1:
        raise UsageError(
            f"adaptable: {model.name} has the outputs {', '.join(model.output_names)}, so it has no one output layer; "
            "pass a function of a keras.Variable that chooses the weights"
        )
    owners = [layer for layer in model._flatten_layers() if any(map(all_but_norm_offsets, layer._trainable_variables))]
    last = next(v for v in reversed(model.trainable_variables) if all_but_norm_offsets(v))
    (owner,) = (layer for layer in owners if any(v is last for v in layer._trainable_variables))
    chosen = {id(variable) for variable in owner._trainable_variables}
    if all(id(variable) in chosen for variable in model.trainable_variables):
        raise UsageError(
            f"adaptable: all weights of {model.name} are in its layer {owner.name!r}, so it has no body and head"
        )
    return chosen


@ADAPTABLE.register("output_layer")
@ByModel
def output_layer(model: keras.Model) -> Callable[[keras.Variable], bool]:
    """ANIL: the last layer with weights, such as a classifier's dense layer of logits.

    In a subclassed model it is the layer that `__init__` makes last.
    """
    head = _weights_of_output_layer(model)
    return lambda variable: id(variable) in head


@ADAPTABLE.register("all_but_output_layer")
@ByModel
def all_but_output_layer(model: keras.Model) -> Callable[[keras.Variable], bool]:
    """BOIL: all weights but those of the output layer, and but batch norm's offsets and scales."""
    head = _weights_of_output_layer(model)
    return lambda variable: id(variable) not in head and all_but_norm_offsets(variable)
