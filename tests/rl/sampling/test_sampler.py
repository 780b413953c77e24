"""The sampler against one environment run on its own, its alignment, its seeds."""

import functools

import numpy as np
import pytest
from reference.policy_problem import random_actor

from maml_tf.errors import UsageError
from maml_tf.rl.envs.goals import UniformGoals
from maml_tf.rl.envs.half_cheetah import HalfCheetahVelocity
from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.envs.vector_env import Outcome, TaskVectorEnv
from maml_tf.rl.sampling.sampler import Sampler

HORIZON = 10


class Scripted(TaskVectorEnv):
    """Trajectory k of a task (counted as they start) is `script[goal][k]` steps long, has reward k, and its observation
    is [task, k, step]; one of length -l breaks down after l steps.
    """

    def __init__(self, num_envs, script, horizon=HORIZON):
        super().__init__(num_envs, 3, 1, UniformGoals(0, len(script)), max_episode_steps=horizon)
        self.script = script
        self.state = np.zeros((num_envs, 3))
        self.ends = np.zeros(num_envs, int)
        self.started = {}
        self.simulated = 0

    def _start(self, ids):
        for i in ids:
            task = int(self.goals[i])
            k = self.started[task] = self.started.get(task, -1) + 1
            self.state[i] = task, k, 0
            self.ends[i] = self.script[task][k]
        return self.state[ids]

    def _advance(self, ids, actions):
        self.simulated += len(ids)
        self.state[ids, 2] += 1
        ended = self.state[ids, 2] == np.abs(self.ends[ids])
        return Outcome(self.state[ids], self.state[ids, 1], ended, ended & (self.ends[ids] < 0))


class Copycat:
    """Acts by saying which step of which trajectory it sees."""

    def tasks(self, start, stop):
        return self

    def act(self, observations, rng, active):
        return (100 * observations[..., 1:2] + observations[..., 2:3]).astype(np.float32)


def kept_in_one_long_run(lengths, budget):
    total, kept = 0, []
    for k, length in enumerate(lengths):
        total += abs(length)
        if total > budget:
            return kept
        kept.append((k, length))
    raise AssertionError("the script is too short")


@pytest.mark.parametrize("envs_per_task", [1, 2, 5, 20])
@pytest.mark.parametrize("num_tasks", [3, 4])
def test_the_trajectories_kept_are_those_of_one_long_run(num_tasks, envs_per_task):
    rng = np.random.default_rng(envs_per_task)
    script = rng.integers(1, HORIZON + 1, (num_tasks, 200)) * rng.choice([1, 1, -1], (num_tasks, 200))
    script[0] = HORIZON
    script[1] = 1
    sampler = Sampler(functools.partial(Scripted, script=script), num_tasks, 5, envs_per_task)
    samples = sampler.sample(Copycat(), np.arange(num_tasks), seed=0)
    assert samples.mask.shape == (num_tasks, 5 * HORIZON)
    for task in range(num_tasks):
        kept = kept_in_one_long_run(script[task], 5 * HORIZON)
        # Of the full length it is the time limit that ends a trajectory, before it can break down.
        rows = [(k, step, step + 1 == abs(length)) for k, length in kept for step in range(abs(length))]
        trajectory, step, last = np.array(rows).T
        n = len(rows)
        np.testing.assert_array_equal(samples.mask[task], np.arange(5 * HORIZON) < n)
        np.testing.assert_array_equal(samples.steps[task, :n], step)
        np.testing.assert_array_equal(samples.last[task, :n], last)
        np.testing.assert_array_equal(samples.observations[task, :n, 0], task)
        np.testing.assert_array_equal(samples.observations[task, :n, 1], trajectory)
        np.testing.assert_array_equal(samples.observations[task, :n, 2], step)
        np.testing.assert_array_equal(samples.actions[task, :n, 0], 100 * trajectory + step)
        broken = np.isin(trajectory, [k for k, length in kept if length < 0]) & last.astype(bool)
        np.testing.assert_array_equal(samples.rewards[task, :n], np.where(broken, 0, trajectory))
        assert samples.physics_failures[task] == broken.sum()
        assert samples.num_trajectories[task] == len(kept)
        assert samples.mean_lengths[task] == n / len(kept)
        for array in samples[:-1]:
            assert not array[task, n:].any()


def kept_that_finish_first(lengths, n, budget):
    """The authors' sampler: n environments in lockstep, until what they have finished holds the budget."""
    current, elapsed, finished, following = list(range(n)), [0] * n, [], n
    while sum(lengths[k] for k in finished) < budget:
        elapsed = [steps + 1 for steps in elapsed]
        ended = [i for i in range(n) if elapsed[i] == lengths[current[i]]]
        finished += [current[i] for i in ended]
        for i in ended:
            current[i], elapsed[i], following = following, 0, following + 1
    return sorted(finished)


@pytest.mark.parametrize("envs_per_task", [1, 2, 5])
@pytest.mark.parametrize("num_tasks", [3, 4])
def test_the_trajectories_that_finish_first_are_kept_as_the_authors_do(num_tasks, envs_per_task):
    script = np.random.default_rng(envs_per_task).integers(1, HORIZON + 1, (num_tasks, 200))
    script[0] = HORIZON
    script[1] = 1
    make_envs = functools.partial(Scripted, script=script)
    sampler = Sampler(make_envs, num_tasks, 5, envs_per_task, keep_first_finished=True)
    samples = sampler.sample(Copycat(), np.arange(num_tasks), seed=0)
    for task in range(num_tasks):
        kept = kept_that_finish_first(script[task], envs_per_task, 5 * HORIZON)
        expected = np.array([(k, step) for k in kept for step in range(script[task][k])])
        n = len(expected)
        np.testing.assert_array_equal(samples.mask[task], np.arange(samples.mask.shape[1]) < n)
        np.testing.assert_array_equal(samples.observations[task, :n, 1:], expected)
        np.testing.assert_array_equal(samples.steps[task, :n], expected[:, 1])
        assert samples.num_trajectories[task] == len(kept)


def test_full_trajectories_cost_no_step_too_many():
    script = np.full((4, 50), 99)
    sampler = Sampler(functools.partial(Scripted, script=script), 4, 5)
    samples = sampler.sample(Copycat(), np.arange(4), seed=0)
    assert samples.mask.all()
    assert sum(envs.simulated for envs in sampler.envs) == 4 * 5 * HORIZON
    np.testing.assert_array_equal(samples.mean_returns, np.full(4, HORIZON * np.mean(range(5))))


def test_what_cannot_be_kept_any_more_is_not_simulated():
    script = np.full((1, 50), 9)  # 5 trajectories of 9 steps fit into 50, the sixth does not
    sampler = Sampler(functools.partial(Scripted, script=script), 1, 5)
    assert sampler.sample(Copycat(), [0], seed=0).num_trajectories == [5]
    # After the five (45 steps) five others begin, of which 5, 5, 2, 1, 1, 1 go on until the first has 6 steps.
    assert sampler.envs[0].simulated == 45 + 15


def test_point_samples_agree_with_the_environments_rules():
    sampler = Sampler(PointNavigation, 4, 3)
    goals = np.array([[0.1, 0.1], [-0.2, 0.3], [0.4, 0.0], [0.05, -0.05]])
    samples = sampler.sample(random_actor(4, 2, 2), goals, seed=1)
    moved = samples.observations + 0.1 * np.clip(samples.actions, -1, 1)
    distance = np.linalg.norm(moved - goals[:, np.newaxis], axis=-1)
    np.testing.assert_allclose(samples.rewards[samples.mask], -distance[samples.mask], atol=1e-6)
    follows = samples.mask[:, 1:] & ~samples.last[:, :-1]
    np.testing.assert_allclose(samples.observations[:, 1:][follows], moved[:, :-1][follows], atol=1e-6)
    assert (samples.observations[samples.mask & (samples.steps == 0)] == 0).all()
    starts = (samples.steps == 0) & samples.mask
    assert starts[:, 0].all()
    np.testing.assert_array_equal(starts[:, 1:], samples.last[:, :-1] & samples.mask[:, 1:])


def test_every_task_is_sampled_with_its_own_policy():
    actor = random_actor(4, 20, 6)
    actor.params[0][:] = -20.0
    samples = Sampler(HalfCheetahVelocity, 4, 1).sample(actor, np.ones(4), seed=0)
    np.testing.assert_allclose(samples.actions, actor.means(samples.observations), atol=1e-4)


def test_same_seed_same_trajectories_and_each_goal_its_own_rewards():
    sampler = Sampler(HalfCheetahVelocity, 2, 2)
    actor = random_actor(2, 20, 6)
    first, again, other = (sampler.sample(actor, [0.5, 1.5], seed=seed) for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first.observations[:, 1] != other.observations[:, 1]).any()
    assert first.mask.all()
    # A step's reward has the velocity after it and the goal of its task: of two goals, the sums differ.
    swapped = sampler.sample(actor, [1.5, 0.5], seed=3)
    np.testing.assert_array_equal(swapped.observations, first.observations)
    assert (swapped.mean_returns != first.mean_returns).all()


def test_every_environment_may_have_its_own_goal():
    sampler = Sampler(functools.partial(PointNavigation, reveal_task=True), 1, 3)
    goals = np.array([[[0.5, 0.4], [-0.5, 0.3], [0.2, -0.5]]])
    samples = sampler.sample(random_actor(1, 4, 2), goals, seed=0)
    seen = samples.observations[0, ::100, 2:]
    np.testing.assert_array_equal(seen, goals[0].astype(np.float32))


def test_without_goals_every_trajectory_has_a_new_one():
    sampler = Sampler(functools.partial(PointNavigation, reveal_task=True), 1, 5, envs_per_task=2)
    samples = sampler.sample(random_actor(1, 4, 2), None, seed=0)
    goals = samples.observations[0, samples.last[0], 2:]
    assert len(np.unique(goals, axis=0)) == samples.num_trajectories[0] >= 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Sampler(functools.partial(PointNavigation, max_episode_steps=None), 2, 3), "need a horizon"),
        (
            lambda: Sampler(PointNavigation, 2, 3).sample(random_actor(2, 2, 2), np.zeros((2, 3)), 0),
            r"goals have shape \(2, 3\); allowed: \(2, 2\) or \(2, 3, 2\)",
        ),
    ],
)
def test_errors_say_what_is_allowed(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, -1), (1.5, 1, 1), (1, "2", 1), (True, 1, 1)])
def test_numbers_of_tasks_trajectories_and_environments_are_checked(sizes):
    with pytest.raises(UsageError, match=r"\w+: \S+ is not allowed; expected a whole number from 1"):
        Sampler(PointNavigation, *sizes)
