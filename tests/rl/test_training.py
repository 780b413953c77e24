"""Training of policies: interrupted and resumed to the same bits, the best model kept, goals drawn as asked."""

import functools

import keras
import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.maml_adam import MAMLAdam
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.training import snapshot_file, train
from maml_tf.training.adam import Adam
from maml_tf.training.checkpoint import RunDirectory
from maml_tf.training.weights import read_weights

pytestmark = pytest.mark.usefixtures("plain_graphs")


@functools.cache  # compiled once: its state is what `train` returns
def trpo_learner():
    keras.utils.set_random_seed(1)
    return MAMLTRPO(GaussianPolicy(2, 2, (8, 8)), 0.5)


@functools.cache
def adam_learner():
    learner = MAMLAdam(trpo_learner().policy, 0.5, Adam(0.01))
    learner.objective = trpo_learner().objective  # has been compiled
    return learner


LEARNERS = {"TRPO": trpo_learner, "Adam": adam_learner}


def trained(folder, learner, stop_after=None, **options):
    """(Checkpoint, goals of every sampling); killed while it samples for the iteration after `stop_after`."""
    sampler = Sampler(functools.partial(PointNavigation, max_episode_steps=20), 2, 2)
    sample, goals_of_calls = sampler.sample, []

    def counted(actor, goals, seed):
        goals_of_calls.append(goals)
        if stop_after is not None and len(goals_of_calls) > 2 * stop_after:  # before and after adapting
            raise KeyboardInterrupt
        return sample(actor, goals, seed)

    sampler.sample = counted
    return train(learner, sampler, **{"iterations": 4, "seed": 1, "run_dir": folder} | options), goals_of_calls


@pytest.mark.parametrize("optimizer", LEARNERS)
def test_a_killed_training_resumes_to_the_same_bits(tmp_path, optimizer):
    learner = LEARNERS[optimizer]()
    snapshots = {"snapshots": (1, 3)}
    whole, _ = trained(tmp_path / "whole", learner, **snapshots)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", learner, stop_after=2, **snapshots)
    assert RunDirectory(tmp_path / "killed").read().iteration == 2
    with pytest.raises(UsageError, match=r"stopped at iteration 2 of 4: --resume .* continues it"):
        trained(tmp_path / "killed", learner)
    resumed, calls = trained(tmp_path / "killed", learner, resume=True, **snapshots)
    assert len(calls) == 2 * 2
    for iteration in (1, 3):
        kept = [snapshot_file(RunDirectory(tmp_path / run), iteration) for run in ("whole", "killed")]
        for one, two in zip(*(read_weights(file, learner) for file in kept), strict=True):
            np.testing.assert_array_equal(one, two)
    assert not snapshot_file(RunDirectory(tmp_path / "whole"), 2).exists()
    assert resumed.iteration == whole.iteration == 4
    assert resumed.validations == whole.validations
    assert resumed.losses == whole.losses
    assert resumed.best_iteration == whole.best_iteration
    for name in ("params", "first_moments", "second_moments"):
        for one, two in zip(getattr(resumed.state, name), getattr(whole.state, name), strict=True):
            np.testing.assert_array_equal(one, two)
    for one, two in zip(resumed.best_params, whole.best_params, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_training_is_a_loop_of_iterations():
    learner = trpo_learner()
    saved, goals = trained(None, learner)
    sampler = Sampler(functools.partial(PointNavigation, max_episode_steps=20), 2, 2)
    state, returns = learner.initial_state(), []
    for index in range(4):
        rng = np.random.default_rng([1, index])
        drawn = sampler.goal_distribution.sample(rng, 2)
        np.testing.assert_array_equal(goals[2 * index], drawn)
        iteration = learner.iteration(state, sampler, drawn, rng)
        state = iteration.state
        returns.append([index, iteration.returns[-1]])
    assert saved.validations == returns
    for one, two in zip(saved.state.params, state.params, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_best_model_is_the_one_that_sampled_the_highest_return_after_adaptation():
    learner = trpo_learner()
    saved, _ = trained(None, learner)
    iterations, returns = np.transpose(saved.validations)
    np.testing.assert_array_equal(iterations, range(4))
    assert saved.best_score == returns.max()
    assert saved.best_iteration == returns.argmax()
    until_then, _ = trained(None, learner, iterations=int(returns.argmax()))
    for one, two in zip(saved.best_params, until_then.state.params, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_chosen_model_may_be_the_last_one(tmp_path):
    saved, _ = trained(tmp_path, trpo_learner(), chosen_model="last")
    best, _ = trained(None, trpo_learner())
    assert saved.best_params is None
    assert saved.validations == best.validations
    for chosen, last, of_best in zip(saved.params, saved.state.params, best.state.params, strict=True):
        np.testing.assert_array_equal(chosen, last)
        np.testing.assert_array_equal(last, of_best)  # the choice changes no training


def test_goals_are_drawn_for_the_tasks_of_every_iteration_or_for_every_trajectory():
    _, goals = trained(None, trpo_learner(), iterations=2)
    np.testing.assert_array_equal(goals[0], goals[1])  # the same tasks before and after adaptation
    assert not np.isclose(goals[0], goals[2]).any()
    _, goals = trained(None, trpo_learner(), iterations=2, goal_every="trajectory")
    assert all(each is None for each in goals)


def test_failures_of_the_physics_are_counted_over_the_whole_training(tmp_path, monkeypatch):
    """Each sample of each of the 2 tasks is made to hold one, before and after adapting, in 4 iterations."""
    sample = Sampler.sample

    def failing(self, *arguments, **named):
        trajectories = sample(self, *arguments, **named)
        trajectories.physics_failures[:] = 1
        return trajectories

    monkeypatch.setattr(Sampler, "sample", failing)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, trpo_learner(), stop_after=2)
    saved, _ = trained(tmp_path, trpo_learner(), resume=True)
    assert saved.physics_failures == RunDirectory(tmp_path).read().physics_failures == 4 * 2 * 2


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved, _ = trained(None, trpo_learner(), iterations=1)
    assert saved.iteration == 1
    assert not list(tmp_path.iterdir())


def test_a_breakdown_names_the_training_and_the_iteration(monkeypatch):
    learner = trpo_learner()
    broken = [p * float("nan") for p in learner.initial_params()]
    monkeypatch.setattr(learner, "initial_params", lambda: broken)
    with pytest.raises(FloatingPointError, match=r"^2D \(paper, seed 1\): iteration 0 \(seed 1\): no finite actions"):
        trained(None, learner, label="2D (paper, seed 1)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": -1}, "iterations: -1 is not allowed"),
        ({"seed": -1}, "seed: -1 is not allowed"),
        ({"seed": 1.5}, "seed: 1.5 is not allowed"),
        ({"goal_every": "episode"}, "goal_every: 'episode' is not allowed; expected one of task, trajectory"),
        ({"chosen_model": "first"}, "chosen_model: 'first' is not allowed; expected one of best_return, last"),
        ({"resume": True}, "run_dir: resume, tensorboard and snapshots need a folder"),
        ({"tensorboard": True}, "run_dir: resume, tensorboard and snapshots need a folder"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_sampled(options, message):
    with pytest.raises(UsageError, match=message):
        trained(None, trpo_learner(), stop_after=0, **options)


def test_snapshots_need_a_folder():
    with pytest.raises(UsageError, match="snapshots need a folder"):
        trained(None, trpo_learner(), snapshots=(1,))
