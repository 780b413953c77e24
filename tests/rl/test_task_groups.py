"""Training a policy on workers: the same bits for any number of them, and the numbers of a training without."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import largest_difference, losing_workers

from maml_tf.errors import UsageError
from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.maml_adam import MAMLAdam
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.training import train
from maml_tf.rl.trpo import TrustRegion
from maml_tf.training.adam import Adam
from maml_tf.training.workers import Host, LocalWorkers

HOSTS: dict[str, Host] = {}
pytestmark = pytest.mark.usefixtures("plain_graphs")


class SharedWorkers(LocalWorkers):
    """Workers that share one copy of a learner, so that it is compiled once. Their groups are apart."""

    def __init__(self, num_workers, name="TRPO"):
        super().__init__(num_workers)
        self.name = name

    def _start(self, sent):
        return HOSTS.setdefault(self.name, Host(sent, configure=False))


@functools.cache
def trpo_learner():
    keras.utils.set_random_seed(1)
    return MAMLTRPO(GaussianPolicy(2, 2, (4,)), 0.1, TrustRegion(iterations=2))


@functools.cache
def adam_learner():
    learner = MAMLAdam(trpo_learner().policy, 0.1, Adam(0.01))
    learner.objective = trpo_learner().objective  # has been compiled
    return learner


def trained(learner, iterations=2, num_groups=3, **options):
    sampler = Sampler(functools.partial(PointNavigation, max_episode_steps=5), 3, 2, num_groups=num_groups)
    return train(learner, sampler, iterations=iterations, seed=1, **options)


def equal(one, other):
    pairs = zip(tf.nest.flatten(one.state), tf.nest.flatten(other.state), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs) and one.validations == other.validations


def test_any_number_of_workers_a_lost_one_and_a_resumed_training_give_the_same_bits(tmp_path):
    one = trained(trpo_learner(), workers=SharedWorkers(1))
    losing = losing_workers(SharedWorkers, 2, {1, 6})  # while it samples, and in the update
    assert equal(one, trained(trpo_learner(), workers=losing))
    assert max(losing.lost_at) < losing.calls
    trained(trpo_learner(), 1, workers=SharedWorkers(2), run_dir=tmp_path)
    assert equal(one, trained(trpo_learner(), workers=SharedWorkers(3), run_dir=tmp_path, resume=True))


@pytest.mark.parametrize(
    ("name", "make", "goal_every"), [("TRPO", trpo_learner, "trajectory"), ("Adam", adam_learner, "task")]
)
def test_workers_give_the_numbers_of_a_training_without_up_to_rounding(name, make, goal_every):
    workers = (None, SharedWorkers(2, name))
    alone, spread = (trained(make(), 1, goal_every=goal_every, workers=one) for one in workers)
    assert largest_difference(spread.state.params, alone.state.params) < 1e-4
    assert spread.validations[0][1] == pytest.approx(alone.validations[0][1], rel=1e-6)


def test_an_error_in_a_worker_names_its_group():
    learner = trpo_learner()
    state = learner.initial_state()
    nan = state._replace(params=[p * np.nan for p in state.params])
    learner = MAMLTRPO(learner.policy, 0.1)
    learner.initial_params = lambda: nan.params
    with pytest.raises(FloatingPointError, match=r"group 0 of 1 tasks: no finite actions: .* tasks \[0\]"):
        trained(learner, workers=LocalWorkers(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 2}, "workers: 2 is not allowed; expected such as mt.RayWorkers"),
        ({"workers": LocalWorkers(4)}, "workers: 4 are not allowed; the sampler has 3 groups of 1 tasks"),
        ({"num_groups": 2}, "num_groups: 2 is not allowed; expected a divisor of 3 tasks"),
        ({"num_groups": 0}, "num_groups: 0 is not allowed"),
    ],
)
def test_what_cannot_be_spread_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        trained(trpo_learner(), **options)
