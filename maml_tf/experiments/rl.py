"""The arms of reinforcement learning: MAML, pretrained, random, oracle, context vector (section 5.3, Appendix C.2)."""

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.experiments.base import Experiment, TrainingOptions
from maml_tf.experiments.choices import adaptable_of
from maml_tf.experiments.rl_spec import (
    EnvironmentTaskSpec,
    PolicySections,
    RandomPolicySpec,
    TrainingTaskSpec,
    TrustRegionSpec,
)
from maml_tf.rl.envs.goals import Directions
from maml_tf.rl.envs.registry import environment
from maml_tf.rl.envs.vector_env import TaskVectorEnv
from maml_tf.rl.maml_adam import MAMLAdam
from maml_tf.rl.maml_trpo import MAMLTRPO, AdaptationStep
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.training import snapshot_file, train
from maml_tf.rl.trpo import TrustRegion
from maml_tf.tasks import random
from maml_tf.training.adam import Adam
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from maml_tf.training.weights import read_weights


class ReinforcementLearningExperiment(Experiment):
    """One arm, for one seed (see `Experiment`).

    The random arm is not trained: its policy is the one that the seed initialises (PROTOCOL 3.7).

    Attributes:
        make_envs: number of environments -> a TaskVectorEnv of the spec's family.
        test_goals: the fixed goals of the test, [T, ...].

    Raises:
        UsageError: the spec asks for more test goals than there are.
    """

    spec: PolicySections
    spreads = True
    kept_scores = ("return",)

    def __init__(self, spec: PolicySections, seed: int, data_folder: str | os.PathLike | None = None):
        super().__init__(spec, seed, data_folder)
        env_class = environment(spec.tasks.environment).vector_class
        self.make_envs = functools.partial(make_envs, spec.tasks)
        self.test_goals = env_class.goal_distribution.test_goals()[: spec.evaluation.tasks]
        if len(self.test_goals) < spec.evaluation.tasks:
            raise UsageError(
                f"{spec.name}: evaluation.tasks: {spec.evaluation.tasks} is not allowed; there are "
                f"{len(self.test_goals)} test goals"
            )
        self.learner = self.build_learner(spec)
        self.model = self.learner.policy

    @staticmethod
    def build_learner(spec: PolicySections) -> MAMLTRPO:
        """See `Experiment.build_learner`."""
        one = environment(spec.tasks.environment).vector_class(1, reveal_task=spec.tasks.reveal_task)
        observation_size, action_size = one.sizes
        model = spec.model
        policy = GaussianPolicy(
            observation_size,
            action_size,
            model.hidden,
            model.activation,
            model.context_size,
            adaptable=adaptable_of(spec) if spec.inner.adaptable else None,
        )
        inner = (spec.inner.train_steps, spec.inner.likelihood_ratio)
        if isinstance(spec, RandomPolicySpec):
            return MAMLTRPO(policy, spec.inner.step_size, None, *inner)
        if isinstance(spec.meta, TrustRegionSpec):
            region, trained = TrustRegion(spec.meta.max_kl), spec.meta.meta_trained
            return MAMLTRPO(policy, spec.inner.step_size, region, *inner, meta_trained=trained)
        return MAMLAdam(policy, spec.inner.step_size, Adam(spec.meta.learning_rate), *inner)

    def train(self, run_dir: RunDirectory, options: TrainingOptions) -> Checkpoint:
        """See `Experiment.train`. The checkpoint of the random arm is the initial policy."""
        if isinstance(self.spec, RandomPolicySpec):
            return Checkpoint(self.learner.initial_state())
        return train(
            self.learner,
            self.sampler(),
            iterations=self.spec.meta.iterations,
            goal_every=self.spec.tasks.goal_every,
            chosen_model=self.spec.meta.chosen_model,
            snapshots=getattr(self.spec.meta, "snapshots", ()),
            seed=self.seed,
            run_dir=run_dir,
            resume=options.resume,
            tensorboard=options.tensorboard,
            workers=options.workers,
            label=self.label,
        )

    def sampler(self) -> Sampler:
        """The sampler of training."""
        tasks = self.spec.tasks
        # With a new goal for every trajectory, the environments run side by side, as in the test (see Sampler).
        side_by_side = tasks.goal_every == "trajectory"
        batch_size = self.spec.meta.batch_size
        return Sampler(self.make_envs, batch_size, tasks.trajectories, keep_first_finished=side_by_side)

    def evaluate(self, checkpoint: Checkpoint, run_dir: RunDirectory | None = None):
        """Adapts the chosen model to the test goals; if that is the best one in training, the last one too, and those
        of the snapshots, whose curves are `return_iteration_350`, ....

        Returns:
            (scores, settings): mean undiscounted returns [tasks, steps + 1] by curve name, and for the chosen model the
            mean lengths of the rollouts (a return depends on them where rollouts can end early); the chosen iteration.
        """
        scores, settings, failures = {}, {}, 0
        models = {"return": checkpoint.params}
        if checkpoint.best_params is not None:
            models["return_last_model"] = checkpoint.state.params
            settings = {"best_iteration": checkpoint.best_iteration, "best_training_return": checkpoint.best_score}
            settings |= {"training_physics_failures": checkpoint.physics_failures}
        for iteration in getattr(getattr(self.spec, "meta", None), "snapshots", ()):
            if run_dir is not None and iteration <= checkpoint.iteration:
                params = read_weights(snapshot_file(run_dir, iteration), self.learner)
                models[f"return_iteration_{iteration}"] = params
        for name, params in models.items():
            headline, *others = self.spec.evaluation.later_factors
            for factor in (headline, *others):
                curve = name if factor == headline else f"{name}_later_steps_x{factor:g}"
                try:
                    steps = list(self.adaptation(params, factor))
                except FloatingPointError as error:
                    raise FloatingPointError(f"{self.spec.name}, seed {self.seed}, {curve}: {error}") from error
                scores[curve] = np.stack([step.trajectories.mean_returns for step in steps], axis=1)
                if curve == "return":
                    scores["length"] = np.stack([step.trajectories.mean_lengths for step in steps], axis=1)
                failures += sum(int(step.trajectories.physics_failures.sum()) for step in steps)
        return scores, settings | {"test_physics_failures": failures}

    def adaptation(
        self, params: Sequence[tf.Tensor], later_factor: float, goals: np.ndarray | None = None
    ) -> Iterator[AdaptationStep]:
        """The test of one policy: policy gradient on every test goal, all of them in lockstep (PROTOCOL 3.6).

        Args:
            params: theta.
            later_factor: alpha from the second step on, over the first's.
            goals: [T, ...]; all test goals by default.

        Returns:
            An iterator over the steps with 0, 1, ... gradient steps.
        """
        test = self.spec.evaluation
        step_sizes = [test.step_size * (later_factor if step else 1.0) for step in range(test.steps)]
        goals = self.test_goals if goals is None else goals
        sampler = Sampler(self.make_envs, len(goals), test.trajectories, keep_first_finished=True)
        rng = np.random.default_rng(random.TEST_TASKS)
        return self.learner.adaptation(params, sampler, goals, step_sizes, rng)


def make_envs(tasks: EnvironmentTaskSpec, num_envs: int, **options: Any) -> TaskVectorEnv:
    """Environments of a spec's family, with its distribution of training goals.

    Args:
        tasks: section of a spec.
        num_envs: number of environments.
        options: further arguments of the family's class.
    """
    options = {"reveal_task": tasks.reveal_task} | options
    envs = environment(tasks.environment).vector_class(num_envs, **options)
    if isinstance(envs.goal_distribution, Directions) and isinstance(tasks, TrainingTaskSpec):
        envs.goal_distribution = envs.goal_distribution.with_backward_share(tasks.backward_share)
    return envs
