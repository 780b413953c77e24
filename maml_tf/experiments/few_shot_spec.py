"""Specs of the few-shot classification of images (section 5.2, Appendix C.2) and of its supervised baselines."""

import dataclasses
from typing import ClassVar, Literal

from maml_tf.errors import UsageError
from maml_tf.experiments.checks import above_zero
from maml_tf.experiments.choices import MAMLPlusPlusSpec, check_choices, check_context, check_plus_plus
from maml_tf.experiments.registry import register
from maml_tf.experiments.spec import (
    BOTH_SETS,
    EvaluationSpec,
    InnerSpec,
    MetaSpec,
    ShotsEvaluationSpec,
    SupervisedSpec,
    ValidationSpec,
)
from maml_tf.models.factory import MiniImagenetConvSpec, NetworkSpec
from maml_tf.tasks import folder_spec  # noqa: F401 - registers the data set "folder"
from maml_tf.tasks.datasets import ImageTaskSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShotInnerSpec(InnerSpec):
    """The inner loop of the classifiers."""

    step_size: float  # alpha
    first_order: bool = False
    gradient_checkpointing: bool = False  # inner steps are computed again when they are differentiated
    adaptable: str | None = None  # the weights that the inner loop changes, of maml_tf.meta.adaptable; by method
    update: str | None = None  # the rule of one inner step, of maml_tf.meta.inner_updates; gradient descent by default

    def __post_init__(self):
        super().__post_init__()
        check_choices(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuningSpec(InnerSpec):
    """Fine-tuning at test: step size, decay and number of updates are chosen on the validation tasks."""

    step_size: Literal["tuned"]
    step_grid: tuple[float, ...]
    decay_grid: tuple[float, ...]  # factors by which each step is smaller than the one before

    def __post_init__(self):
        super().__post_init__()
        for name in ("step_grid", "decay_grid"):
            if not getattr(self, name):
                raise UsageError(f"{name}: at least one is needed")
        above_zero(self, "decay_grid")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShotSections(SupervisedSpec):
    """N-way K-shot classification by a method that adapts; `inner` and `meta` are the method's."""

    columns: ClassVar[tuple[str, str]] = BOTH_SETS
    eval_batch_size: ClassVar[int] = 20

    tasks: ImageTaskSpec
    model: NetworkSpec
    evaluation: EvaluationSpec
    validation: ValidationSpec | None = None


@register(
    "image_classification", "maml", "context_vector", implementation="maml_tf.experiments.few_shot:FewShotExperiment"
)
@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShotSpec(FewShotSections):
    """A cell of Tables 1 and 3."""

    inner: FewShotInnerSpec
    meta: MetaSpec
    maml_plus_plus: MAMLPlusPlusSpec | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.method in ("maml", "context_vector"):  # another method's class may do without
            self.inner.check_adapts(self.method)
        check_context(self)
        check_plus_plus(self)


@register("image_classification", "supervised", implementation="maml_tf.experiments.supervised:SupervisedExperiment")
@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisedBaselineSpec(SupervisedSpec):
    """The rows "fine-tuning" and "nearest neighbour" of Table 1."""

    columns: ClassVar[tuple[str, str]] = ("query set", "query set after update")
    eval_batch_size: ClassVar[int] = 20

    tasks: ImageTaskSpec
    model: MiniImagenetConvSpec
    inner: FineTuningSpec
    meta: MetaSpec
    evaluation: ShotsEvaluationSpec
    validation: ValidationSpec

    def __post_init__(self):
        super().__post_init__()
        self.inner.check_does_not_adapt(self.method)
        if self.tasks.rotations:
            raise UsageError("tasks.rotations: not allowed; 'supervised' learns to tell whole classes apart")
        if self.model.context_size:
            raise UsageError("model.context_size: not allowed; 'supervised' adapts no context vector")
        if self.meta.task_chunk is not None:
            raise UsageError("meta.task_chunk: not allowed; 'supervised' trains on images, not on tasks")
