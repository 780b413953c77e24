"""Keras models and layers whose weights may carry a leading task axis. Each name is loaded when it is first used."""

from typing import TYPE_CHECKING

from maml_tf._lazy import lazy_exports

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "MLP": "maml_tf.models.mlp",
        "OmniglotConv": "maml_tf.models.conv",
        "MiniImagenetConv": "maml_tf.models.conv",
        "WithContext": "maml_tf.models.context_vector",
        "Dense": "maml_tf.models.layers",
        "Conv2D": "maml_tf.models.layers",
        "BatchNorm": "maml_tf.models.batch_norm",
    },
)

if TYPE_CHECKING:
    from maml_tf.models.batch_norm import BatchNorm as BatchNorm
    from maml_tf.models.context_vector import WithContext as WithContext
    from maml_tf.models.conv import MiniImagenetConv as MiniImagenetConv
    from maml_tf.models.conv import OmniglotConv as OmniglotConv
    from maml_tf.models.layers import Conv2D as Conv2D
    from maml_tf.models.layers import Dense as Dense
    from maml_tf.models.mlp import MLP as MLP
