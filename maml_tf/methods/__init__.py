"""The methods that came after MAML, each in one file. Each name is loaded when it is first used.

A file here is found by itself: what it registers (an inner update, a choice of adapted weights) can be named in a spec.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from maml_tf._lazy import lazy_exports

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "MAMLPlusPlus": "maml_tf.methods.maml_plus_plus",
        "MetaSGD": "maml_tf.methods.meta_sgd",
        "Reptile": "maml_tf.methods.reptile",
        "output_layer": "maml_tf.methods.anil_boil",
        "all_but_output_layer": "maml_tf.methods.anil_boil",
    },
)


def register_all() -> None:
    """Imports every file of this folder, and TensorFlow with them."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


if TYPE_CHECKING:
    from maml_tf.methods.anil_boil import all_but_output_layer as all_but_output_layer
    from maml_tf.methods.anil_boil import output_layer as output_layer
    from maml_tf.methods.maml_plus_plus import MAMLPlusPlus as MAMLPlusPlus
    from maml_tf.methods.meta_sgd import MetaSGD as MetaSGD
    from maml_tf.methods.reptile import Reptile as Reptile
