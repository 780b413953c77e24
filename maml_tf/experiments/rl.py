"""The arms of reinforcement learning: MAML, pretrained, random, oracle, context vector (section 5.3, Appendix C.2)."""

import functools

import keras
import numpy as np

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import MetaSpec
from maml_tf.rl.envs.registry import environment
from maml_tf.rl.maml_adam import MAMLAdam
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.training import train
from maml_tf.rl.trpo import TrustRegion
from maml_tf.tasks import random
from maml_tf.training.adam import Adam, TrainingState
from maml_tf.training.checkpoint import Saved


class ReinforcementLearningExperiment:
    """Policy, learner, environments, training and test of one arm, for one seed.

    The random arm is not trained: its policy is the one that the seed initialises (PROTOCOL 3.7).

    Args:
        spec: an ExperimentSpec of the experiment "reinforcement_learning".
        seed: of the initial policy, the training goals and the training samples.
    """

    def __init__(self, spec, seed):
        self.spec = spec
        self.seed = seed
        self.data = {}
        env_class = environment(spec.tasks.environment).vector_class
        self.make_envs = functools.partial(env_class, reveal_task=spec.tasks.reveal_task)
        self.test_goals = env_class.goal_distribution.test_goals()[: spec.evaluation.tasks]
        if len(self.test_goals) < spec.evaluation.tasks:
            raise UsageError(
                f"{spec.name}: evaluation.tasks: {spec.evaluation.tasks} is not allowed; there are "
                f"{len(self.test_goals)} test goals"
            )
        keras.utils.set_random_seed(seed)
        one = self.make_envs(1)
        sizes = one.single_observation_space.shape[0], one.single_action_space.shape[0]
        self.model = GaussianPolicy(*sizes, spec.model.hidden, spec.model.activation, spec.model.context_size)
        step_size, inner = spec.inner.step_size, (spec.inner.train_steps, spec.inner.likelihood_ratio)
        if isinstance(spec.meta, MetaSpec):
            self.learner = MAMLAdam(self.model, step_size, Adam(spec.meta.learning_rate), *inner)
        else:
            region = TrustRegion(spec.meta.max_kl) if spec.meta else None
            self.learner = MAMLTRPO(self.model, step_size, region, *inner)
        self.initial_params = self.learner.initial_params()

    def train(self, run_dir, label, resume=False, tensorboard=False):
        """Trains the policy, or takes the finished training that the run folder holds; returns Saved."""
        if self.spec.meta is None:
            return Saved(TrainingState.start(self.initial_params))
        # All goals' trajectories in one batch come from environments side by side, as the test's (see Sampler).
        together = self.spec.tasks.goal_every == "trajectory"
        sampler = Sampler(
            self.make_envs, self.spec.meta.batch_size, self.spec.tasks.trajectories, keep_first_finished=together
        )
        return train(
            self.learner,
            sampler,
            iterations=self.spec.meta.iterations,
            goal_every=self.spec.tasks.goal_every,
            seed=self.seed,
            run_dir=run_dir,
            resume=resume,
            tensorboard=tensorboard,
            label=label,
        )

    def test(self, saved):
        """Adapts the model with the best training return to the test goals, and the last one.

        Returns:
            (scores, settings): mean undiscounted returns [tasks, steps + 1] by curve name, of the chosen model their
            lengths too (where rollouts can end early, what a return says depends on them); and the chosen iteration.
        """
        scores, settings, failures = {}, {}, 0
        models = {"return": saved.chosen_params}
        if saved.best_params is not None:
            models["return_last_model"] = saved.state.params
            settings = {"best_iteration": saved.best_iteration, "best_training_return": saved.best_score}
            settings |= {"training_physics_failures": saved.physics_failures}
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

    def adaptation(self, params, later_factor, goals=None):
        """The test of one policy: policy gradient on every test goal, all of them in lockstep (PROTOCOL 3.6).

        Args:
            params: theta, a list.
            later_factor: alpha of the second step on, over the first's.
            goals: [T, ...]; all test goals by default.

        Returns:
            An iterator over the `AdaptationStep` of 0, 1, ... gradient steps.
        """
        test = self.spec.evaluation
        step_sizes = [test.step_size * (later_factor if step else 1.0) for step in range(test.steps)]
        goals = self.test_goals if goals is None else goals
        sampler = Sampler(self.make_envs, len(goals), test.trajectories, keep_first_finished=True)
        rng = np.random.default_rng(random.TEST_TASKS)
        return self.learner.adaptation(params, sampler, goals, step_sizes, rng)
