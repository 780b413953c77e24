"""Numbers of the protocol (reproduce/PROTOCOL.md) that no other test would miss, by hand or from plain NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from helpers import SPECS

from maml_tf.experiments.spec import read_spec
from maml_tf.meta import losses
from maml_tf.models.batch_norm import EPSILON, batch_norm
from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
from maml_tf.models.mlp import MLP
from maml_tf.rl import advantages as adv
from maml_tf.rl import trpo, value_baseline
from maml_tf.rl.envs import ant, half_cheetah, mujoco_env
from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.envs.registry import ENVIRONMENTS
from maml_tf.rl.sampling.numpy_policy import MIN_LOG_STD
from maml_tf.rl.sampling.trajectories import Trajectories
from maml_tf.tasks import mini_imagenet, omniglot, random
from maml_tf.tasks.image_set import ImageSet
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.adam import Adam, TrainingState


def trajectory(rewards, observations=None):
    """One trajectory of one task."""
    steps = len(rewards)
    empty = Trajectories.empty(1, steps, 1, 1)
    return empty._replace(
        rewards=np.array([rewards], float),
        observations=empty.observations if observations is None else np.array(observations, np.float32)[None, :, None],
        steps=np.arange(steps, dtype=np.int32)[np.newaxis],
        last=np.arange(steps)[np.newaxis] == steps - 1,
        mask=np.ones((1, steps), bool),
    )


# Reinforcement learning (sections 3 and 4 of the protocol).


def test_the_discount_is_099_and_lambda_is_1():
    samples = trajectory([1.0, 2.0, 3.0])
    zeros = np.zeros((1, 3))
    found = adv.generalised_advantages(samples.rewards, zeros, samples.last)
    np.testing.assert_allclose(found, [[1 + 0.99 * 2 + 0.99**2 * 3, 2 + 0.99 * 3, 3]], rtol=1e-12)


def test_advantages_are_returns_less_the_fitted_baseline_normalised():
    """The baseline is the ridge regression on [o, o^2, t, t^2, t^3, 1], t in units of 100 steps."""
    rng = np.random.default_rng(0)
    rewards, o = rng.normal(size=12), rng.normal(size=12)
    samples = trajectory(rewards, o)
    returns = np.array([sum(0.99 ** (k - t) * rewards[k] for k in range(t, 12)) for t in range(12)])
    o, t = o.astype(np.float32).astype(float), np.arange(12) / 100
    inputs = np.stack([o, o**2, t, t**2, t**3, np.ones(12)], axis=1)
    fitted = inputs @ np.linalg.solve(inputs.T @ inputs + 1e-5 * np.eye(6), inputs.T @ returns)
    rest = returns - fitted
    np.testing.assert_allclose(adv.advantages(samples)[0], (rest - rest.mean()) / (rest.std() + 1e-8), rtol=1e-6)


def test_observations_of_the_baseline_are_clipped_to_10():
    found = value_baseline.features(np.array([[50.0], [-50.0]]), np.array([0, 100]))
    np.testing.assert_array_equal(found, [[10, 100, 0, 0, 0, 1], [-10, 100, 1, 1, 1, 1]])


def test_the_conjugate_gradient_takes_ten_iterations():
    diagonal, calls = np.linspace(1, 50, 40), []
    trpo.natural_gradient_step(lambda v: calls.append(1) or diagonal * v, np.ones(40), trpo.TrustRegion())
    assert len(calls) == 10


def test_the_trust_region_has_the_authors_settings():
    region = trpo.TrustRegion()
    assert (region.max_kl, region.damping, region.tolerance) == (0.01, 1e-5, 1e-10)
    assert (region.backtrack_ratio, region.max_backtracks, region.finite_differences) == (0.8, 15, False)


def test_damping_is_added_to_the_fisher_product():
    region = trpo.TrustRegion(damping=1.0)
    step = trpo.natural_gradient_step(lambda v: v, np.array([1.0, 0.0]), region)  # (F + 1) x = g: x = g / 2
    np.testing.assert_allclose(step, [np.sqrt(2 * 0.01 / 0.5) * 0.5, 0.0], rtol=1e-6)


def test_the_smallest_standard_deviation_of_a_policy():
    assert math.exp(MIN_LOG_STD) == pytest.approx(1e-6)


def test_2d_navigation():
    """Moves of up to 0.1, the distance as cost, an end within 0.01 along both axes, goals in a square (4.1)."""
    envs = PointNavigation(3)
    envs.reset(options={"goal": [[0.3, 0.4], [0.109, 0.091], [0.111, 0.1]]})
    positions, rewards, ended, _, _ = envs.step(np.array([[0.5, -2.0], [1.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_allclose(positions, [[0.05, -0.1], [0.1, 0.1], [0.1, 0.1]])
    np.testing.assert_allclose(rewards[0], -math.hypot(0.25, 0.5))
    np.testing.assert_array_equal(ended, [False, True, False])
    goals = PointNavigation.goal_distribution.sample(np.random.default_rng(0), 4000)
    assert -0.5 <= goals.min() < -0.49
    assert 0.49 < goals.max() <= 0.5


def test_horizons_costs_and_goals_of_the_environments():
    horizons = {name: entry.horizon for name, entry in ENVIRONMENTS.items() if entry.targets_id}
    locomotion = ("ant_direction", "ant_velocity", "half_cheetah_direction", "half_cheetah_velocity")
    assert horizons == {"point_navigation": 100} | dict.fromkeys(locomotion, 200)
    assert (half_cheetah.CONTROL_COST, ant.CONTROL_COST, ant.CONTACT_COST) == (0.05, 0.005, 0.0005)
    assert (ant.SURVIVAL_BONUS, ant.HEALTHY_HEIGHT, ant.MAX_TORQUE) == (0.05, (0.2, 1.0), 150.0)
    assert (mujoco_env.POSITION_NOISE, mujoco_env.VELOCITY_NOISE) == (0.01, 0.1)
    velocity, ants = half_cheetah.HalfCheetahVelocity.goal_distribution, ant.AntVelocity.goal_distribution
    assert (velocity.low, velocity.high, ants.low, ants.high) == (0.0, 2.0, 0.0, 3.0)


def test_the_rewards_of_running():
    cheetah = object.__new__(half_cheetah.HalfCheetahVelocity)
    np.testing.assert_allclose(cheetah._progress(np.array([1.5, 0.5]), np.array([1.0, 2.0])), [-0.5, -1.5])
    backward = object.__new__(half_cheetah.HalfCheetahDirection)
    np.testing.assert_allclose(backward._progress(np.array([1.5, 0.5]), np.array([-1.0, 1.0])), [-1.5, 0.5])
    running = object.__new__(ant.AntVelocity)
    np.testing.assert_allclose(running._progress(np.array([1.5, 0.5]), np.array([1.0, 2.0])), [0.5, -0.5])


def test_the_test_goals_are_the_authors():
    """How many of the 40 run forward, and the first draws (PROTOCOL 4.3 to 4.5)."""
    goals = {name: entry.vector_class.goal_distribution.test_goals() for name, entry in ENVIRONMENTS.items()}
    draws = np.random.RandomState(1).uniform(0.0, 2.0, 40)
    np.testing.assert_array_equal(goals["half_cheetah_velocity"], draws)
    np.testing.assert_array_equal(goals["half_cheetah_direction"], np.where(draws < 1.0, -1.0, 1.0))
    ants = np.random.RandomState(2).uniform(0.1, 0.8, 40)
    np.testing.assert_array_equal(goals["ant_direction"], np.where(ants < 0.4, -1.0, 1.0))
    np.testing.assert_array_equal(goals["ant_velocity"], np.random.RandomState(1).uniform(0.0, 3.0, 40))
    assert len(goals["point_navigation"]) == 40


# Supervised experiments (sections 1 and 2).


@pytest.mark.parametrize("gradient", [1e-7, -3e-8])
def test_adams_epsilon_is_that_of_tensorflow_1(gradient):
    """With small gradients the first step is rate * g / (|g| + epsilon / sqrt(0.001)), by the definition."""
    state = Adam(0.1).apply(TrainingState.start([tf.zeros(1)]), [tf.constant([gradient])])
    root = math.sqrt(0.001) * abs(gradient)
    expected = -0.1 * math.sqrt(0.001) / 0.1 * 0.1 * gradient / (root + 1e-8)
    np.testing.assert_allclose(state.params[0], [expected], rtol=1e-4)


def test_adams_moments_decay_by_09_and_0999():
    state = TrainingState.start([tf.zeros(1)])
    for _ in range(2):
        state = Adam(0.1).apply(state, [tf.constant([1.0])])
    np.testing.assert_allclose(state.first_moments[0], [0.1 + 0.09], rtol=1e-6)
    np.testing.assert_allclose(state.second_moments[0], [0.001 + 0.000999], rtol=1e-5)


def test_sinusoids_are_drawn_from_the_papers_ranges():
    tasks = SinusoidTasks(10, 10)
    amplitude, phase = (np.asarray(values) for values in tasks.draw_functions(tf.constant([1, 2]), 4000))
    x = np.asarray(tasks.sample(tf.constant([1, 2]), 500).support_x)
    for values, low, high in ((amplitude, 0.1, 5.0), (phase, 0.0, math.pi), (x, -5.0, 5.0)):
        margin = 0.01 * (high - low)
        assert low <= values.min() < low + margin
        assert high - margin < values.max() <= high
    batch = tasks.sample(tf.constant([1, 2]), 4000)
    np.testing.assert_allclose(batch.query_y, amplitude * np.sin(np.asarray(batch.query_x) - phase), atol=1e-5)


def test_the_fixed_tasks_have_seeds_of_their_own():
    seeds = random.TEST_TASKS, random.VALIDATION_TASKS, random.TUNING_TASKS, random.MULTITASK_TASKS
    assert seeds == ((1, 1), (1, 2), (1, 3), (1, 4))


def test_the_omniglot_split_is_this_permutation():
    image_set = ImageSet(np.zeros((1623, 1, 1, 1, 1), np.uint8), tuple(map(str, range(1623))), {})
    splits = omniglot.split_omniglot(image_set, 1)
    assert splits["train"].class_names[:6] == ("980", "66", "834", "274", "399", "1077")
    assert splits["validation"].class_names[:3] == ("18", "1527", "81")
    assert splits["test"].class_names[-3:] == ("102", "1523", "1279")
    assert {name: len(split.class_names) for name, split in splits.items()} == omniglot.SPLIT
    assert tuple(omniglot.SPLIT.values()) == (1100, 100, 423)


def test_the_mini_imagenet_split():
    assert mini_imagenet.CLASSES == {"train": 64, "validation": 16, "test": 20}
    assert (mini_imagenet.IMAGES_PER_CLASS, mini_imagenet.SIDE) == (600, 84)


def test_the_losses_of_single_numbers():
    """The regression loss is a mean; the classifiers' is the sum over images divided by K (1.3)."""
    values = tf.constant([[[1.0], [2.0]]]), tf.constant([[[2.0], [4.0]]])
    np.testing.assert_allclose(losses.mean_squared_error(*values), [2.5])
    labels, logits = tf.constant([[0, 1, 1, 0]]), tf.constant([[[1.0, 3.0]] * 4])
    entropies = math.log(1 + math.exp(2)), math.log(1 + math.exp(-2))
    np.testing.assert_allclose(losses.cross_entropy_over_shots(2)(labels, logits), [sum(entropies)], rtol=1e-6)
    np.testing.assert_allclose(losses.mean_cross_entropy(labels, logits), [sum(entropies) / 2], rtol=1e-6)
    np.testing.assert_allclose(losses.accuracy(tf.constant([[1, 1, 1, 0]]), logits), [0.75])


def test_batch_norm_has_the_biased_variance_and_epsilon_of_the_authors():
    x = np.array([[1.0], [2.0], [6.0]])
    expected = (x - 3) / np.sqrt(14 / 3 + 1e-3) + 0.5
    np.testing.assert_allclose(batch_norm(tf.constant(x), tf.constant([0.5], tf.float64), [0]), expected, rtol=1e-12)
    assert EPSILON == 1e-3


def test_the_initial_weights():
    """Dense networks: truncated normal of deviation 0.01. Omniglot's output layer: normal of deviation 1 (2.3)."""
    mlp = MLP(1, (400, 400), 1)
    kernel = np.asarray(mlp.trainable_variables[2])
    assert np.abs(kernel).max() <= 0.0201
    assert kernel.std() == pytest.approx(0.0088, rel=0.05)  # a normal cut at two deviations has 0.88 of the deviation
    assert not np.asarray(mlp.trainable_variables[1]).any()
    omniglot_conv, mini_conv = OmniglotConv((28, 28, 1), 20), MiniImagenetConv((84, 84, 3), 5, filters=4)
    output = np.asarray(omniglot_conv.output_layer.kernel)
    assert output.shape == (64, 20)
    assert output.std() == pytest.approx(1.0, rel=0.1)
    assert mini_conv.output_layer.kernel.shape == (100, 5)
    limit = math.sqrt(6 / 105)
    assert 0.9 * limit < np.abs(np.asarray(mini_conv.output_layer.kernel)).max() <= limit


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sinusoid_maml", (0.01, 1, 70000, 25, 0.001)),
        ("omniglot_5way_1shot_conv", (0.4, 1, 60000, 32, 0.001)),
        ("omniglot_20way_1shot_conv", (0.1, 5, 60000, 16, 0.001)),
        ("miniimagenet_5way_1shot_maml", (0.01, 5, 60000, 4, 0.001)),
    ],
)
def test_the_specs_of_the_paper(name, expected):
    spec = read_spec(SPECS / f"{name}.yaml")
    inner, meta = spec.inner, spec.meta
    assert (inner.step_size, inner.train_steps, meta.iterations, meta.batch_size, meta.learning_rate) == expected
