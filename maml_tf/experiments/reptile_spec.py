"""Specs of Reptile (Nichol et al., 2018) on the tasks of the other methods."""

import dataclasses
from typing import Literal

from maml_tf.errors import UsageError
from maml_tf.experiments.checks import at_least_one
from maml_tf.experiments.few_shot_spec import FewShotSections
from maml_tf.experiments.registry import register
from maml_tf.experiments.sinusoid_spec import SinusoidSections
from maml_tf.experiments.spec import InnerSpec, MetaSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReptileInnerSpec(InnerSpec):
    """The inner loop: an optimizer on mini-batches."""

    step_size: float  # of the optimizer
    optimizer: Literal["adam", "sgd"] = "adam"  # Adam with beta1 = 0
    mini_batch: int | None = None  # examples of each step; all by default

    def __post_init__(self):
        super().__post_init__()
        at_least_one(self, "mini_batch")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReptileMetaSpec(MetaSpec):
    """The outer loop: an interpolation by `learning_rate`, epsilon."""

    def __post_init__(self):
        super().__post_init__()
        if self.task_chunk is not None:
            raise UsageError("task_chunk: not allowed; 'reptile' differentiates no inner steps")


@register("image_classification", "reptile", implementation="maml_tf.experiments.reptile:ReptileFewShotExperiment")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReptileFewShotSpec(FewShotSections):
    """N-way K-shot classification. Training uses shots + train_queries images of each class, and no query set."""

    inner: ReptileInnerSpec
    meta: ReptileMetaSpec

    def __post_init__(self):
        super().__post_init__()
        self.inner.check_adapts(self.method)


@register("sinusoid", "reptile", implementation="maml_tf.experiments.reptile:ReptileSinusoidExperiment")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReptileSinusoidSpec(SinusoidSections):
    """Sinusoid regression. Training uses shots + queries points of each function."""

    inner: ReptileInnerSpec  # pyright: ignore[reportIncompatibleVariableOverride]
    meta: ReptileMetaSpec

    def __post_init__(self):
        super().__post_init__()
        self.inner.check_adapts(self.method)
