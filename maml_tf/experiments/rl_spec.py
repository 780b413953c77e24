"""Specs of reinforcement learning (section 5.3, Appendix C.2)."""

import dataclasses
from typing import Literal, Self

from maml_tf.errors import UsageError
from maml_tf.experiments.checks import above_zero, at_least_one, not_negative
from maml_tf.experiments.choices import check_choices
from maml_tf.experiments.registry import register
from maml_tf.experiments.spec import (
    AdamSpec,
    EvaluationSpec,
    ExperimentSpec,
    InnerSpec,
)
from maml_tf.models.factory import NETWORKS, ModelSpec

ADAPTING = ("maml", "context_vector")  # methods with an inner loop in training
IMPLEMENTATION = "maml_tf.experiments.rl:ReinforcementLearningExperiment"


@NETWORKS.register("gaussian_policy")
@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianPolicySpec(ModelSpec):
    """The policy (PROTOCOL 3.1)."""

    hidden: tuple[int, ...]  # units of the hidden layers
    activation: Literal["relu", "tanh"] = "relu"  # of the hidden layers
    context_size: int = 0  # numbers of the context vector z, which is appended to every observation

    def __post_init__(self):
        if not self.hidden:
            raise UsageError("hidden: at least one layer is needed")
        at_least_one(self, "hidden")
        not_negative(self, "context_size")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvironmentTaskSpec:
    """Goals in a family of environments."""

    environment: str  # a name in maml_tf/rl/envs/registry.py
    goal_every: Literal["task", "trajectory"] = "task"  # what gets a new goal in training
    reveal_task: bool = False  # the oracle sees the goal

    def __post_init__(self):
        from maml_tf.rl.envs.registry import ENVIRONMENTS  # Gymnasium: for a spec that names an environment only

        if self.environment not in ENVIRONMENTS:
            allowed = ", ".join(map(repr, ENVIRONMENTS))
            raise UsageError(f"environment: {self.environment!r} is not allowed; expected one of {allowed}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingTaskSpec(EnvironmentTaskSpec):
    """Goals that are trained on."""

    trajectories: int  # a task's samples at each step of training, in trajectories of full length
    backward_share: float = 0.5  # of tasks that are directions: the probability of backward (PROTOCOL 4.4)

    def __post_init__(self):
        from maml_tf.rl.envs.goals import Directions
        from maml_tf.rl.envs.registry import environment

        super().__post_init__()
        at_least_one(self, "trajectories")
        if not 0 < self.backward_share < 1:
            raise UsageError(f"backward_share: {self.backward_share} is not allowed; expected a number between 0 and 1")
        goals = environment(self.environment).vector_class.goal_distribution
        if self.backward_share != 0.5 and not isinstance(goals, Directions):
            raise UsageError(
                f"backward_share: {self.backward_share} is not allowed; the goals of {self.environment!r} are no "
                "directions"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyGradientSpec(InnerSpec):
    """The inner loop of a policy."""

    step_size: float  # alpha
    likelihood_ratio: bool = False  # the surrogate is pi / pi_old x advantage in place of log pi x advantage
    adaptable: str | None = None  # the weights that the inner loop changes, of maml_tf.meta.adaptable; by method
    update: str | None = None  # of a policy: gradient descent alone

    def __post_init__(self):
        super().__post_init__()
        check_choices(self)
        if self.update not in (None, "gradient_descent"):
            raise UsageError(
                f"update: {self.update!r} is not allowed for a policy; expected 'gradient_descent': the trust region's "
                "update moves the policy's weights alone, and its Fisher product differentiates steps of one alpha"
            )
        if self.adaptable == "context_vector":
            raise UsageError("adaptable: 'context_vector' is not allowed for a policy; use the method 'context_vector'")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyAdamSpec(AdamSpec):
    """An outer loop that Adam drives along the plain policy gradient (PROTOCOL 3.7)."""

    chosen_model: Literal["best_return", "last"] = "best_return"  # the model that is tested (PROTOCOL 3.6)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrustRegionSpec:
    """The outer loop (algorithm 3): TRPO (PROTOCOL 3.4)."""

    iterations: int
    batch_size: int  # tasks per iteration
    max_kl: float  # limit of the mean KL divergence
    chosen_model: Literal["best_return", "last"] = "best_return"  # the model that is tested (PROTOCOL 3.6)
    snapshots: tuple[int, ...] = ()  # iterations whose models are kept and tested too
    meta_trained: Literal["all", "adaptable"] = "all"  # "adaptable": only what the inner step adapts (PROTOCOL 2.7)

    def __post_init__(self):
        at_least_one(self, "iterations", "batch_size")
        above_zero(self, "max_kl")
        allowed = range(1, self.iterations + 1)
        if list(self.snapshots) != sorted(set(self.snapshots)) or not set(self.snapshots) <= set(allowed):
            raise UsageError(
                f"snapshots: {list(self.snapshots)} is not allowed; expected different iterations in ascending order, "
                f"from 1 to {self.iterations}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReturnEvaluationSpec(EvaluationSpec):
    """The test: returns while a policy adapts to fixed goals (PROTOCOL 3.6)."""

    trajectories: int  # a task's samples at each step, in trajectories of full length
    step_size: float = 0.0  # alpha of the first gradient step
    later_factors: tuple[float, ...] = (0.5,)  # alpha of the later steps over the first's; a curve for each

    def __post_init__(self):
        super().__post_init__()
        at_least_one(self, "trajectories")
        if not self.later_factors or len(set(self.later_factors)) < len(self.later_factors):
            raise UsageError(
                f"later_factors: {list(self.later_factors)} is not allowed; expected different numbers, at least one"
            )
        above_zero(self, "later_factors")
        not_negative(self, "step_size")
        if self.steps and not self.step_size:
            raise UsageError(f"step_size: 0 is not allowed; steps: {self.steps} asks for gradient steps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicySections(ExperimentSpec):
    """The sections that all reinforcement learning has."""

    model: GaussianPolicySpec
    inner: PolicyGradientSpec
    evaluation: ReturnEvaluationSpec

    def __post_init__(self):
        super().__post_init__()
        if self.method in ADAPTING:
            self.inner.check_adapts(self.method)
        else:
            self.inner.check_does_not_adapt(self.method)
        if bool(self.model.context_size) != (self.method == "context_vector"):
            raise UsageError(
                f"model.context_size: {self.model.context_size} is not allowed; the method 'context_vector' needs z, "
                f"and the others adapt all weights: this is {self.method!r}"
            )
        if self.method == "context_vector" and self.inner.adaptable is not None:
            raise UsageError(
                f"inner.adaptable: {self.inner.adaptable!r} is not allowed; the method 'context_vector' adapts z alone"
            )
        if self.tasks.reveal_task != (self.method == "oracle"):
            raise UsageError(
                f"tasks.reveal_task: {str(self.tasks.reveal_task).lower()} is not allowed; the method 'oracle' sees "
                f"the goal, the others do not: this is {self.method!r}"
            )
        if self.tasks.goal_every == "trajectory" and self.method in ADAPTING:
            raise UsageError(
                f"tasks.goal_every: 'trajectory' is not allowed; {self.method!r} adapts to a task, which has one goal"
            )


@register("reinforcement_learning", "maml", "pretrained", "oracle", "context_vector", implementation=IMPLEMENTATION)
@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyTrainingSpec(PolicySections):
    """An arm of Figures 4 and 5 or of Tables 4 and 5."""

    tasks: TrainingTaskSpec
    meta: TrustRegionSpec | PolicyAdamSpec

    def with_iterations(self, iterations: int, profile: str) -> Self:
        """See `ExperimentSpec.with_iterations`. Snapshots after the new end are left out."""
        if isinstance(self.meta, TrustRegionSpec):
            kept = tuple(snapshot for snapshot in self.meta.snapshots if snapshot <= iterations)
            meta = dataclasses.replace(self.meta, iterations=iterations, snapshots=kept)
            return dataclasses.replace(self, profile=profile, meta=meta)
        return super().with_iterations(iterations, profile)


@register("reinforcement_learning", "random", implementation=IMPLEMENTATION)
@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomPolicySpec(PolicySections):
    """The arm that is not trained (PROTOCOL 3.7)."""

    tasks: EnvironmentTaskSpec

    @property
    def iterations(self) -> int:
        """None."""
        return 0

    def with_iterations(self, iterations: int, profile: str) -> Self:
        """Not possible: nothing is trained."""
        raise UsageError(f"{self.name}: nothing is trained, so there is no partial training")
