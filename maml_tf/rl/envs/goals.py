"""The tasks of the paper's reinforcement-learning experiments: how goals are drawn for training and for the test."""

import abc

import numpy as np

from maml_tf.errors import UsageError

NUM_TEST_GOALS = 40


class GoalDistribution(abc.ABC):
    """p(T) of a family of environments that differ in a goal only.

    Attributes:
        shape: of one goal; () for a number.
    """

    shape = ()

    @abc.abstractmethod
    def sample(self, rng, num_tasks):
        """Draws training goals [T, *shape] from a NumPy generator."""

    @abc.abstractmethod
    def test_goals(self):
        """The 40 goals [40, *shape] that every method is tested on, the same in every run (PROTOCOL 4)."""

    def checked(self, goals, num_envs):
        """`goals` as float64 [num_envs, *shape]; one goal alone is taken for all.

        Raises:
            UsageError: wrong shape, or not finite.
        """
        expected = (num_envs, *self.shape)
        goals = np.asarray(goals, np.float64)
        if goals.shape not in (expected, self.shape):
            raise UsageError(f"goal has shape {goals.shape}; allowed: {expected}, or {self.shape} for all the same")
        if not np.isfinite(goals).all():
            raise UsageError("goal holds a value that is not finite")
        return np.broadcast_to(goals, expected)


class UniformGoals(GoalDistribution):
    """Goals uniform in [low, high): velocities in m/s, or positions.

    The test goals are NumPy's `RandomState(test_seed)` draws from the same range (PROTOCOL 4.1, 4.3, 4.5).
    """

    def __init__(self, low, high, shape=(), test_seed=1):
        self.low = low
        self.high = high
        self.shape = shape
        self.test_seed = test_seed

    def sample(self, rng, num_tasks):
        return rng.uniform(self.low, self.high, (num_tasks, *self.shape))

    def test_goals(self):
        return np.random.RandomState(self.test_seed).uniform(self.low, self.high, (NUM_TEST_GOALS, *self.shape))


class Directions(GoalDistribution):
    """Forward (+1) or backward (-1), equally likely.

    The authors draw a number and compare it with a threshold. For the test goals their very draws are made again, so
    that the order and the split of the 40 are theirs (PROTOCOL 4.4, 4.5).

    Args:
        test_seed, test_low, test_high: of the `RandomState` draws behind the test goals.
        test_threshold: draws below it are backward.
    """

    def __init__(self, test_seed, test_low, test_high, test_threshold):
        self.test_seed = test_seed
        self.test_range = (test_low, test_high)
        self.test_threshold = test_threshold

    def sample(self, rng, num_tasks):
        return rng.choice([-1.0, 1.0], num_tasks)

    def test_goals(self):
        draws = np.random.RandomState(self.test_seed).uniform(*self.test_range, NUM_TEST_GOALS)
        return np.where(draws < self.test_threshold, -1.0, 1.0)

    def checked(self, goals, num_envs):
        goals = super().checked(goals, num_envs)
        if not np.isin(goals, (-1.0, 1.0)).all():
            raise UsageError("goal must be +1 (forward) or -1 (backward)")
        return goals
