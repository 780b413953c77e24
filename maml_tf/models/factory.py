"""Networks by name: the section `model` of a spec, and the Keras model that it describes.

A network is a dataclass of its sizes with a method `build`, registered under its name:

    @NETWORKS.register("my_network")
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class MyNetworkSpec(NetworkSpec):
        units: int

        def build(self, input_shape, outputs): ...

Then a spec may say `model: {network: my_network, units: 10}`. TensorFlow is imported when a model is built, not before:
specs are read without it.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from maml_tf._registry import Registry
from maml_tf.errors import UsageError

if TYPE_CHECKING:
    import keras

# float32: exact products, on GPUs too. tensor_float_32: factors rounded to 10 bits where the GPU has tensor cores for
# that. bfloat16: factors and products of the convolutions and hidden layers rounded to 8 bits, on every device.
PRECISIONS = ("float32", "tensor_float_32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSpec(abc.ABC):
    """The section `model` of a spec; the key `network` says which subclass it is read as."""

    tag: ClassVar[str] = "network"
    variants: ClassVar[Registry[type[ModelSpec]]] = Registry("network")
    precision = "float32"  # a field of the networks that can be computed in another one

    network: str


NETWORKS = ModelSpec.variants


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkSpec(ModelSpec):
    """A network of a regressor or classifier."""

    context_size: int = 0  # numbers (channels, for images) of the context vector z (Appendix C.2)
    precision: Literal["float32", "tensor_float_32", "bfloat16"] = "float32"  # of the factors of matrix products

    def __post_init__(self):
        if self.context_size < 0:
            raise UsageError(f"context_size: {self.context_size} is not allowed; expected a whole number from 0")

    @abc.abstractmethod
    def build(self, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
        """A model with fresh weights from Keras' global seed.

        Args:
            input_shape: of one example: (features,) or (height, width, channels).
            outputs: number of output units (N logits, or one value).
        """

    @property
    def dtype(self) -> str:
        """Keras' name for the precision. tensor_float_32 is no dtype but a switch of TensorFlow's."""
        return "mixed_bfloat16" if self.precision == "bfloat16" else "float32"

    def with_context(self, model: keras.Model, input_shape: tuple[int, ...]) -> keras.Model:
        """The model with z at its input, which it was built for, or as it is where there is no z."""
        from maml_tf.models.context_vector import WithContext

        return WithContext(model, input_shape, self.context_size) if self.context_size else model


@NETWORKS.register("mlp")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MLPSpec(NetworkSpec):
    """A fully connected network; images are flattened."""

    hidden: tuple[int, ...]  # units of the hidden layers
    batch_norm: bool = False  # in every hidden layer
    norm_scale: bool = False  # batch norm also has a scale

    def __post_init__(self):
        super().__post_init__()
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(
                f"hidden: {list(self.hidden)} is not allowed; expected whole numbers from 1, at least one layer"
            )
        if self.norm_scale and not self.batch_norm:
            raise UsageError("norm_scale: not allowed without batch_norm")

    def build(self, input_shape, outputs):
        from maml_tf.models.mlp import MLP

        features = math.prod(input_shape)
        model = MLP(
            features + self.context_size, self.hidden, outputs, self.batch_norm, self.dtype, norm_scale=self.norm_scale
        )
        return self.with_context(model, (features,))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvSpec(NetworkSpec):
    """A network of four convolutional blocks."""

    filters: int  # of every block
    norm_scale: bool = False  # batch norm also has a scale
    kernel_stddev: float | None = None  # of the initial kernels, in place of the authors' distributions

    def __post_init__(self):
        super().__post_init__()
        if self.filters < 1:
            raise UsageError(f"filters: {self.filters} is not allowed; expected a whole number from 1")
        if self.kernel_stddev is not None and not self.kernel_stddev > 0:
            raise UsageError(f"kernel_stddev: {self.kernel_stddev} is not allowed; expected a number above 0")

    def build(self, input_shape, outputs):
        height, width, channels = input_shape
        network = functools.partial(self.network_class(), **self.network_options)
        model = network((height, width, channels + self.context_size), outputs, self.filters, self.dtype)
        return self.with_context(model, input_shape)

    @property
    def network_options(self) -> dict[str, Any]:
        """Further arguments of the Keras model."""
        return {"norm_scale": self.norm_scale, "kernel_stddev": self.kernel_stddev}

    @staticmethod
    @abc.abstractmethod
    def network_class() -> type[keras.Model]:
        """The Keras model: (image_shape, outputs, filters, dtype, further options)."""


@NETWORKS.register("omniglot_conv")
@dataclasses.dataclass(frozen=True, kw_only=True)
class OmniglotConvSpec(ConvSpec):
    """Omniglot's network: strides of 2, mean over space."""

    @staticmethod
    def network_class():
        from maml_tf.models.conv import OmniglotConv

        return OmniglotConv


@NETWORKS.register("mini_imagenet_conv")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MiniImagenetConvSpec(ConvSpec):
    """mini-ImageNet's network: max-pools, flattened features."""

    cut_second_derivative: bool = False  # at every max-pool, as in the authors' code (PROTOCOL 5, row 33)

    @property
    def network_options(self):
        return super().network_options | {"cut_second_derivative": self.cut_second_derivative}

    @staticmethod
    def network_class():
        from maml_tf.models.conv import MiniImagenetConv

        return MiniImagenetConv
