"""Training of policies: resumed to the same numbers, the best model kept; the test curve's step sizes and goals."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.experiments.rl import ReinforcementLearningExperiment
from maml_tf.experiments.spec import MetaSpec, TrustRegionSpec, read_spec
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.train import train_policy
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import RunDirectory, Saved

SPECS = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs"
META = {
    "TRPO": TrustRegionSpec(iterations=4, batch_size=2, max_kl=0.01),
    "Adam": MetaSpec(iterations=4, batch_size=2, learning_rate=0.01),
}


def experiment(name="point_navigation_maml", seed=1, **evaluation):
    spec = read_spec(SPECS / f"{name}.yaml", "smoke")
    evaluation = dataclasses.replace(spec.evaluation, **evaluation)
    return ReinforcementLearningExperiment(dataclasses.replace(spec, evaluation=evaluation, targets={}), seed)


def train(folder, meta, stop_after=None, **options):
    """Trains on 2D navigation; `stop_after` iterations it is killed while it samples for the next one."""
    built = experiment()
    sampler = Sampler(built.make_envs, meta.batch_size, 2)
    sample, calls = sampler.sample, []

    def counted(actor, goals, seed):
        calls.append(goals)
        if stop_after is not None and len(calls) > 2 * stop_after:  # each iteration samples before and after adapting
            raise KeyboardInterrupt
        return sample(actor, goals, seed)

    sampler.sample = counted
    settings = {"goal_every": "task", "seed": 1, "run_dir": RunDirectory(folder)} | options
    return train_policy(built.learner, sampler, built.initial_params, meta, **settings), calls


@pytest.mark.parametrize("optimizer", META)
def test_a_killed_training_resumes_to_the_same_bits(tmp_path, optimizer):
    whole, _ = train(tmp_path / "whole", META[optimizer])
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", META[optimizer], stop_after=2)
    assert RunDirectory(tmp_path / "killed").read().iteration == 2
    with pytest.raises(UsageError, match="stopped at iteration 2 of 4: --resume goes on"):
        train(tmp_path / "killed", META[optimizer])
    resumed, calls = train(tmp_path / "killed", META[optimizer], resume=True)
    assert len(calls) == 2 * 2
    assert resumed.iteration == whole.iteration == 4
    assert resumed.validations == whole.validations
    assert resumed.losses == whole.losses
    assert resumed.best_iteration == whole.best_iteration
    for name in ("params", "first_moments", "second_moments"):
        for one, two in zip(getattr(resumed.state, name), getattr(whole.state, name), strict=True):
            np.testing.assert_array_equal(one, two)
    for one, two in zip(resumed.best_params, whole.best_params, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_best_model_is_the_one_that_sampled_the_highest_return_after_adaptation(tmp_path):
    saved, _ = train(tmp_path, META["TRPO"])
    iterations, returns = np.transpose(saved.validations)
    np.testing.assert_array_equal(iterations, range(4))
    assert saved.best_score == returns.max()
    assert saved.best_iteration == returns.argmax()
    until_then, _ = train(tmp_path / "shorter", dataclasses.replace(META["TRPO"], iterations=max(1, returns.argmax())))
    expected = until_then.state.params if returns.argmax() else experiment().initial_params
    for one, two in zip(saved.best_params, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def test_goals_are_drawn_anew_in_every_iteration_or_for_every_trajectory(tmp_path):
    _, goals = train(tmp_path / "tasks", META["TRPO"])
    np.testing.assert_array_equal(goals[0], goals[1])  # the same tasks before and after adaptation
    assert not np.isclose(goals[0], goals[2]).any()
    _, goals = train(tmp_path / "trajectories", META["TRPO"], goal_every="trajectory")
    assert all(each is None for each in goals)


def test_the_test_halves_the_step_size_after_the_first_step(monkeypatch):
    built = experiment(steps=3, step_size=0.8, later_factors=(0.5, 0.01))
    steps = []

    def adapted(params, batch, step_size):
        steps.append(float(step_size))
        return params

    monkeypatch.setattr(built.learner.objective, "adapted", adapted)
    scores, settings = built.test(Saved(TrainingState.start(built.initial_params)))
    assert steps == pytest.approx([0.8, 0.4, 0.4, 0.8, 0.008, 0.008])
    assert set(scores) == {"return", "length", "return_later_steps_x0.01"}
    assert scores["return"].shape == scores["length"].shape == (4, 4)  # goals, steps
    assert settings == {"test_physics_failures": 0}


def test_failures_of_the_physics_are_counted_over_the_whole_training(tmp_path, monkeypatch):
    """Each sample of each of the 2 tasks is made to hold one, before and after adapting, in 4 iterations."""
    sample = Sampler.sample

    def failing(self, *arguments, **named):
        trajectories = sample(self, *arguments, **named)
        trajectories.physics_failures[:] = 1
        return trajectories

    monkeypatch.setattr(Sampler, "sample", failing)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, META["TRPO"], stop_after=2)
    saved, _ = train(tmp_path, META["TRPO"], resume=True)
    assert saved.physics_failures == RunDirectory(tmp_path).read().physics_failures == 4 * 2 * 2
    _, settings = experiment(steps=0).test(saved)
    assert settings["training_physics_failures"] == 16
    assert settings["test_physics_failures"] == 2 * 4  # the best and the last model, four goals


def test_what_breaks_down_is_named(tmp_path):
    built = experiment()
    broken = [p * float("nan") for p in built.initial_params]
    sampler = Sampler(built.make_envs, 2, 2)
    settings = {"goal_every": "task", "seed": 1, "run_dir": RunDirectory(tmp_path), "label": "2D (paper, seed 1)"}
    with pytest.raises(FloatingPointError, match=r"^2D \(paper, seed 1\): iteration 0: no finite actions"):
        train_policy(built.learner, sampler, broken, META["TRPO"], **settings)
    with pytest.raises(FloatingPointError, match=r"^point_navigation_maml, seed 1, return: no finite actions"):
        built.test(Saved(TrainingState.start(broken)))


@pytest.mark.parametrize(
    ("name", "in_training"),
    [("point_navigation_maml", False), ("point_navigation_context_vector", False), ("point_navigation_oracle", True)],
)
def test_which_trajectories_count_where_rollouts_end_early(name, in_training, tmp_path, monkeypatch):
    """PROTOCOL 3.5: those that finish first in every test and in training on all goals together."""

    class SamplerCalledError(Exception):
        pass

    def sampler(make_envs, num_tasks, trajectories, finished_first=False):
        raise SamplerCalledError(finished_first)

    built = experiment(name)
    monkeypatch.setattr("maml_tf.experiments.rl.Sampler", sampler)
    with pytest.raises(SamplerCalledError, match=str(in_training)):
        built.train(RunDirectory(tmp_path), "a test")
    with pytest.raises(SamplerCalledError, match="True"):
        built.test(Saved(TrainingState.start(built.initial_params)))


def test_the_test_curve_is_the_return_of_each_fixed_goal():
    """A policy that hardly moves: the return is minus the goal's distance from the start, a hundred times."""
    built = experiment(steps=0)
    still = [tf.zeros_like(p) for p in built.initial_params]
    still[0] -= 20.0  # log standard deviation
    (stage,) = built.adaptation(still, 0.5)
    distances = np.linalg.norm(built.test_goals, axis=1)
    np.testing.assert_allclose(stage.trajectories.mean_returns, -100 * distances, rtol=1e-4)


def test_the_random_arm_is_its_seeds_initial_policy(tmp_path):
    built = experiment("point_navigation_random", seed=3)
    saved = built.train(RunDirectory(tmp_path), "random")
    assert saved.iteration == 0
    for one, two in zip(saved.chosen_params, experiment("point_navigation_maml", seed=3).initial_params, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_oracle_sees_the_goal():
    assert experiment("point_navigation_oracle").model.observation_size == 4
    assert experiment("point_navigation_maml").model.observation_size == 2


def test_more_test_goals_than_there_are_is_an_error():
    with pytest.raises(UsageError, match=r"evaluation.tasks: 41 is not allowed; there are 40 test goals"):
        experiment(tasks=41)
