"""Specs of the sinusoid regression (section 5.1) and of its multi-task baselines (Appendix C.1)."""

import dataclasses
from typing import ClassVar, Literal, Self

from maml_tf.errors import UsageError
from maml_tf.experiments.checks import above_zero, at_least_one, not_negative
from maml_tf.experiments.choices import MAMLPlusPlusSpec, check_choices, check_context, check_plus_plus
from maml_tf.experiments.registry import register
from maml_tf.experiments.spec import BOTH_SETS, InnerSpec, MetaSpec, ShotsEvaluationSpec, SupervisedSpec
from maml_tf.models.factory import MLPSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class SinusoidTaskSpec:
    """The sinusoid tasks of training."""

    shots: int  # K, support points
    queries: int  # query points
    reveal_task: bool = False  # the oracle sees (x, A, phi)

    def __post_init__(self):
        at_least_one(self, "shots", "queries")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TunedInnerSpec(InnerSpec):
    """An inner loop whose step size may be tuned for the test."""

    step_size: float | Literal["tuned"]  # alpha; "tuned": the best of `step_grid` on tasks apart from the test's
    first_order: bool = False
    step_grid: tuple[float, ...] = ()
    adaptable: str | None = None  # the weights that the inner loop changes, of maml_tf.meta.adaptable
    update: str | None = None  # the rule of one inner step, of maml_tf.meta.inner_updates; gradient descent by default

    def __post_init__(self):
        super().__post_init__()
        check_choices(self)
        if (self.step_size == "tuned") != bool(self.step_grid):
            raise UsageError("step_grid: needed where step_size is 'tuned', and allowed only there")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiTaskSpec:
    """Averaging the parameters of independently trained regressors."""

    regulariser: Literal["none", "l2", "to_mean"]
    regressors: int
    threshold: float  # mean squared error that every regressor must reach
    strengths: tuple[float, ...]  # the regulariser's strength: the largest that still reaches the threshold
    batch_size: int  # fresh points per training step
    learning_rate: float
    max_steps: int  # the largest number of training steps of one regressor

    def __post_init__(self):
        at_least_one(self, "regressors", "batch_size", "max_steps")
        above_zero(self, "threshold", "learning_rate")
        not_negative(self, "strengths")
        if not self.strengths:
            raise UsageError("strengths: at least one is needed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SinusoidSections(SupervisedSpec):
    """The sections that all sinusoid experiments have."""

    eval_batch_size: ClassVar[int] = 600
    columns: ClassVar[tuple[str, str]] = BOTH_SETS

    tasks: SinusoidTaskSpec
    model: MLPSpec
    inner: TunedInnerSpec
    evaluation: ShotsEvaluationSpec

    def __post_init__(self):
        super().__post_init__()
        if self.inner.step_size == "tuned" and self.evaluation.steps < 1:
            raise UsageError("evaluation.steps: 0 is not allowed; a tuned step_size is chosen after 1 step or more")
        if self.method not in ("maml", "reptile"):
            self.inner.check_does_not_adapt(self.method)
        if self.tasks.reveal_task != (self.method == "oracle"):
            raise UsageError(
                f"tasks.reveal_task: {str(self.tasks.reveal_task).lower()} is not allowed; the method 'oracle' sees "
                f"the task, the others do not: this is {self.method!r}"
            )


@register("sinusoid", "maml", "pretrained", "oracle", implementation="maml_tf.experiments.sinusoid:SinusoidExperiment")
@dataclasses.dataclass(frozen=True, kw_only=True)
class SinusoidSpec(SinusoidSections):
    """An arm of Figures 2, 3, 6 and 7."""

    meta: MetaSpec
    maml_plus_plus: MAMLPlusPlusSpec | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.method == "maml":
            self.inner.check_adapts(self.method)
            check_context(self)
        check_plus_plus(self)


@register("sinusoid", "multitask", implementation="maml_tf.experiments.multi_task:MultiTaskExperiment")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiTaskAveragingSpec(SinusoidSections):
    """A multi-task row of Table 2. Its iterations are the regressors."""

    multitask: MultiTaskSpec

    def __post_init__(self):
        super().__post_init__()
        for name in ("batch_norm", "context_size"):
            if getattr(self.model, name):
                raise UsageError(f"model.{name}: not allowed; the regressors of 'multitask' are plain networks")

    @property
    def iterations(self) -> int:
        """The number of regressors."""
        return self.multitask.regressors

    def with_iterations(self, iterations: int, profile: str) -> Self:
        """The same spec with another number of regressors."""
        multitask = dataclasses.replace(self.multitask, regressors=iterations)
        return dataclasses.replace(self, profile=profile, multitask=multitask)
