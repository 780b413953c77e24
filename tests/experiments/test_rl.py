"""The arms of reinforcement learning: their learners and samplers, the test curve's step sizes and goals."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.experiments.base import TrainingOptions
from maml_tf.experiments.rl import ReinforcementLearningExperiment
from maml_tf.experiments.spec import read_spec
from maml_tf.rl.maml_adam import MAMLAdam
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.training import snapshot_file
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from maml_tf.training.weights import write_weights

pytestmark = pytest.mark.usefixtures("eagerly")
SPECS = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs"


def experiment(name="point_navigation_maml", seed=1, **evaluation):
    spec = read_spec(SPECS / f"{name}.yaml", "smoke")
    evaluation = dataclasses.replace(spec.evaluation, **evaluation)
    return ReinforcementLearningExperiment(dataclasses.replace(spec, evaluation=evaluation, targets={}), seed)


def test_the_test_halves_the_step_size_after_the_first_step(monkeypatch):
    built = experiment(steps=3, step_size=0.8, later_factors=(0.5, 0.01))
    steps = []

    def adapted(params, batch, step_size):
        steps.append(float(step_size))
        return params

    monkeypatch.setattr(built.learner.objective, "adapted", adapted)
    scores, settings = built.evaluate(Checkpoint(TrainingState.start(built.learner.initial_params())))
    assert steps == pytest.approx([0.8, 0.4, 0.4, 0.8, 0.008, 0.008])
    assert set(scores) == {"return", "length", "return_later_steps_x0.01"}
    assert scores["return"].shape == scores["length"].shape == (4, 4)  # goals, steps
    assert settings == {"test_physics_failures": 0}


def test_failures_of_the_physics_in_training_are_passed_on():
    built = experiment(steps=0)
    saved = Checkpoint(TrainingState.start(built.learner.initial_params()), physics_failures=16)
    saved.add_validation(0, built.learner.initial_params(), -40.0)
    _, settings = built.evaluate(saved)
    assert settings["training_physics_failures"] == 16
    assert settings["test_physics_failures"] == 0


@pytest.mark.parametrize(
    ("name", "learner"),
    [("point_navigation_pretrained", MAMLAdam), ("point_navigation_maml", MAMLTRPO), ("ant_velocity_oracle", MAMLTRPO)],
)
def test_the_specs_outer_loop_chooses_the_learner(name, learner):
    built = experiment(name)
    assert type(built.learner) is learner
    if learner is MAMLTRPO:
        assert built.learner.trust_region.max_kl == built.spec.meta.max_kl


def test_what_breaks_down_is_named():
    built = experiment()
    broken = [p * float("nan") for p in built.learner.initial_params()]
    with pytest.raises(FloatingPointError, match=r"^point_navigation_maml, seed 1, return: no finite actions"):
        built.evaluate(Checkpoint(TrainingState.start(broken)))


@pytest.mark.parametrize(
    ("name", "in_training"),
    [("point_navigation_maml", False), ("point_navigation_context_vector", False), ("point_navigation_oracle", True)],
)
def test_which_trajectories_count_where_rollouts_end_early(name, in_training, tmp_path, monkeypatch):
    """PROTOCOL 3.5: those that finish first in every test and in training on all goals together."""

    class SamplerCalledError(Exception):
        pass

    def sampler(make_envs, num_tasks, trajectories, keep_first_finished=False):
        raise SamplerCalledError(keep_first_finished)

    built = experiment(name)
    monkeypatch.setattr("maml_tf.experiments.rl.Sampler", sampler)
    with pytest.raises(SamplerCalledError, match=str(in_training)):
        built.train(RunDirectory(tmp_path), TrainingOptions())
    with pytest.raises(SamplerCalledError, match="True"):
        built.evaluate(Checkpoint(TrainingState.start(built.learner.initial_params())))


def test_the_test_curve_is_the_return_of_each_fixed_goal():
    """A policy that hardly moves: the return is minus the goal's distance from the start, a hundred times."""
    built = experiment(steps=0)
    still = [tf.zeros_like(p) for p in built.learner.initial_params()]
    still[0] -= 20.0  # log standard deviation
    (stage,) = built.adaptation(still, 0.5)
    distances = np.linalg.norm(built.test_goals, axis=1)
    np.testing.assert_allclose(stage.trajectories.mean_returns, -100 * distances, rtol=1e-4)


def test_the_random_arm_is_its_seeds_initial_policy(tmp_path):
    built = experiment("point_navigation_random", seed=3)
    saved = built.train(RunDirectory(tmp_path), TrainingOptions())
    assert saved.iteration == 0
    maml = experiment("point_navigation_maml", seed=3).learner.initial_params()
    for one, two in zip(saved.params, maml, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_oracle_sees_the_goal():
    assert experiment("point_navigation_oracle").model.observation_size == 4
    assert experiment("point_navigation_maml").model.observation_size == 2


def test_more_test_goals_than_there_are_is_an_error():
    with pytest.raises(UsageError, match=r"evaluation.tasks: 41 is not allowed; there are 40 test goals"):
        experiment(tasks=41)


def test_snapshots_are_tested_too(tmp_path):
    built = experiment("ant_direction_maml_submission", steps=0, later_factors=(0.5,))
    params = built.learner.initial_params()
    run_dir = RunDirectory(tmp_path)
    write_weights(snapshot_file(run_dir, 1), built.learner, params)
    state = TrainingState.start(params)
    after_two = Checkpoint(state._replace(iteration=tf.constant(2)))
    scores, _ = built.evaluate(after_two, run_dir)
    assert set(scores) == {"return", "length", "return_iteration_1"}
    np.testing.assert_array_equal(scores["return"], scores["return_iteration_1"])
    assert set(built.evaluate(Checkpoint(state), run_dir)[0]) == {"return", "length"}  # not reached yet


def test_directions_are_drawn_with_the_share_of_the_spec():
    built = experiment("ant_direction_maml_submission")
    assert built.sampler().goal_distribution.backward_share == 0.428571
    assert built.make_envs(2).goal_distribution.backward_share == 0.428571
    assert experiment("ant_direction_maml").sampler().goal_distribution.backward_share == 0.5


@pytest.mark.parametrize(
    ("name", "section", "changes", "message"),
    [
        ("ant_direction_maml", "tasks", {"backward_share": 1.0}, "backward_share: 1.0 .* between 0 and 1"),
        ("ant_velocity_maml", "tasks", {"backward_share": 0.4}, "the goals of 'ant_velocity' are no directions"),
        ("ant_direction_maml", "meta", {"snapshots": (3,)}, r"snapshots: \[3\] is not allowed; .* from 1 to 2"),
        ("ant_direction_maml", "meta", {"snapshots": (2, 1)}, r"snapshots: \[2, 1\] .* ascending order"),
        ("ant_direction_maml", "meta", {"snapshots": (1, 1)}, "different iterations"),
    ],
)
def test_keys_that_do_not_fit_are_refused(name, section, changes, message):
    spec = read_spec(SPECS / f"{name}.yaml", "smoke")
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(getattr(spec, section), **changes)


def test_a_shorter_training_leaves_out_the_later_snapshots():
    spec = read_spec(SPECS / "ant_direction_maml_submission.yaml")
    assert spec.with_iterations(500, "partial").meta.snapshots == (350, 500)
