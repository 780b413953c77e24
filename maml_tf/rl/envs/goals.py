"""How goals are drawn: the tasks of reinforcement learning, for training and for the test."""

import abc

import numpy as np

from maml_tf.errors import UsageError

NUM_TEST_GOALS = 40


class GoalDistribution(abc.ABC):
    """p(T) of a family of environments that differ only in a goal.

    Attributes:
        shape: of one goal; () for a number.
    """

    shape: tuple[int, ...] = ()

    @abc.abstractmethod
    def sample(self, rng: np.random.Generator, num_tasks: int) -> np.ndarray:
        """Draws training goals [T, *shape]."""

    @abc.abstractmethod
    def test_goals(self) -> np.ndarray:
        """The 40 goals [40, *shape] that every method is tested on, the same in every run (PROTOCOL 4)."""

    def checked(self, goals: np.ndarray, num_envs: int) -> np.ndarray:
        """`goals` as float64 [num_envs, *shape]; a single goal is used for all environments.

        Raises:
            UsageError: the goals have another shape, or are not finite.
        """
        expected = (num_envs, *self.shape)
        try:
            goals = np.asarray(goals, np.float64)
        except (TypeError, ValueError):
            raise UsageError(f"goal is {goals!r}; allowed: numbers of shape {expected}") from None
        if goals.shape not in (expected, self.shape):
            raise UsageError(f"goal has shape {goals.shape}; allowed: {expected}, or {self.shape} for all the same")
        if not np.isfinite(goals).all():
            raise UsageError("goal holds a value that is not finite")
        return np.broadcast_to(goals, expected)


class UniformGoals(GoalDistribution):
    """Goals uniform in [low, high): velocities in m/s, or positions.

    The test goals are draws of NumPy's `RandomState(test_seed)` from the same range (PROTOCOL 4.1, 4.3, 4.5).

    Args:
        low, high: numbers, or arrays that broadcast to `shape`.
        shape: of one goal.
        test_seed: of the test goals.
    """

    def __init__(
        self, low: float | np.ndarray, high: float | np.ndarray, shape: tuple[int, ...] = (), test_seed: int = 1
    ):
        if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high)) and np.all(np.less_equal(low, high))):
            raise UsageError(f"low, high: {low!r}, {high!r} are not allowed; expected finite numbers, low up to high")
        self.low = low
        self.high = high
        self.shape = shape
        self.test_seed = test_seed

    def sample(self, rng, num_tasks):
        return rng.uniform(self.low, self.high, (num_tasks, *self.shape))

    def test_goals(self):
        return np.random.RandomState(self.test_seed).uniform(self.low, self.high, (NUM_TEST_GOALS, *self.shape))


class Directions(GoalDistribution):
    """Forward (+1) or backward (-1), by default equally likely.

    The authors draw a number and compare it with a threshold. The test goals repeat their draws, so that the order and
    the split of the 40 are theirs (PROTOCOL 4.4, 4.5).

    Args:
        test_seed, test_low, test_high: seed and range of the `RandomState` draws behind the test goals.
        test_threshold: draws below it are backward.
        backward_share: the probability that a training goal is backward (PROTOCOL 4.4).
    """

    def __init__(
        self,
        test_seed: int,
        test_low: float,
        test_high: float,
        test_threshold: float,
        backward_share: float = 0.5,
    ):
        if not 0 < backward_share < 1:
            raise UsageError(f"backward_share: {backward_share} is not allowed; expected a number between 0 and 1")
        self.test_seed = test_seed
        self.test_range = (test_low, test_high)
        self.test_threshold = test_threshold
        self.backward_share = backward_share

    def with_backward_share(self, backward_share: float) -> "Directions":
        """The same with another probability of a backward training goal; the test goals stay."""
        return Directions(self.test_seed, *self.test_range, self.test_threshold, backward_share)

    def sample(self, rng, num_tasks):
        if self.backward_share == 0.5:  # another draw, which published trainings have
            return rng.choice([-1.0, 1.0], num_tasks)
        return np.where(rng.random(num_tasks) < self.backward_share, -1.0, 1.0)

    def test_goals(self):
        draws = np.random.RandomState(self.test_seed).uniform(*self.test_range, NUM_TEST_GOALS)
        return np.where(draws < self.test_threshold, -1.0, 1.0)

    def checked(self, goals, num_envs):
        goals = super().checked(goals, num_envs)
        if not np.isin(goals, (-1.0, 1.0)).all():
            raise UsageError("goal must be +1 (forward) or -1 (backward)")
        return goals
