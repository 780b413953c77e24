"""Which weights the inner loop adapts: functions of a Keras variable, for MAML's `adaptable`."""

import keras


def all_but_norm_offsets(variable: keras.Variable) -> bool:
    """All weights but batch norm's offset `beta` (and scale `gamma`): the authors' choice (PROTOCOL 1.2)."""
    return variable.name not in ("beta", "gamma")
