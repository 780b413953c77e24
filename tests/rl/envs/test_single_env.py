"""The environments as Gymnasium knows them: its own checks, one environment against the vector, rendering."""

import pickle
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from maml_tf.errors import UsageError
from maml_tf.rl.envs import single_env
from maml_tf.rl.envs.registry import ENVIRONMENTS
from maml_tf.rl.envs.vector_env import TaskVectorEnv

HALF_CHEETAH = "maml_tf/HalfCheetahVelocity-v0"
IDS = [entry.gymnasium_id for entry in ENVIRONMENTS.values()]


@pytest.mark.parametrize("id_", IDS)
def test_gymnasiums_checker_is_content(id_):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Gymnasium's own MuJoCo environments are unbounded too, and warned of.
        warnings.filterwarnings("ignore", ".*Box observation space (minimum|maximum) value is -?infinity")
        check_env(gymnasium.make(id_, disable_env_checker=True).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("id_", IDS)
def test_single_and_vector_are_the_same_environment(id_):
    single = gymnasium.make(id_)
    vector = gymnasium.make_vec(id_, num_envs=1, vectorization_mode="vector_entry_point")
    assert isinstance(vector, TaskVectorEnv)
    goal = vector.goal_distribution.test_goals()[3]
    observation, _ = single.reset(seed=2, options={"goal": goal})
    observations, _ = vector.reset(seed=2, options={"goal": goal})
    np.testing.assert_array_equal(observation, observations[0])
    rng = np.random.default_rng(0)
    ended = False
    while not ended:
        action = 0.1 * rng.normal(size=single.action_space.shape)
        observation, reward, terminated, truncated, _ = single.step(action)
        observations, rewards, terminations, truncations, _ = vector.step(action[None])
        np.testing.assert_array_equal(observation, observations[0])
        assert (reward, terminated, truncated) == (rewards[0], terminations[0], truncations[0])
        ended = terminated or truncated
    assert single.spec.max_episode_steps == vector.max_episode_steps


@pytest.mark.parametrize("in_this_process", [True, False])
def test_mujoco_draws_where_it_can(monkeypatch, in_this_process):
    """Where TensorFlow is loaded, another process draws: with both in one process a software renderer crashes."""
    if in_this_process:
        monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
        if "tensorflow.python" in sys.modules:
            pytest.skip("TensorFlow is loaded in the process of the tests")
    else:
        monkeypatch.setitem(sys.modules, "tensorflow", sys.modules.get("tensorflow"))
    env = gymnasium.make(HALF_CHEETAH, render_mode="rgb_array", width=64, height=48).unwrapped
    env.reset(seed=0)
    try:
        before = env.render()
    except UsageError as error:
        pytest.skip(str(error))
    for _ in range(30):
        env.step(np.ones(6))
    after = env.render()
    env.close()
    assert before.shape == after.shape == (48, 64, 3)
    assert before.dtype == np.uint8
    assert (before != after).any()
    assert env.metadata["render_fps"] == 100


def test_without_a_renderer_the_error_says_what_to_set(monkeypatch):
    import gymnasium.envs.mujoco.mujoco_rendering as rendering

    def no_display(*_, **__):
        raise RuntimeError("no display")

    monkeypatch.setattr(rendering, "MujocoRenderer", no_display)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)  # draws in this process
    env = gymnasium.make(HALF_CHEETAH, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"MUJOCO_GL to egl.*osmesa.*RuntimeError: no display"):
        env.render()


def test_without_a_render_mode_nothing_is_drawn():
    env = gymnasium.make(HALF_CHEETAH).unwrapped
    env.reset(seed=0)
    assert env.render() is None


def test_an_unknown_render_mode_names_the_allowed_ones():
    with pytest.raises(UsageError, match="'human'; allowed: None, 'rgb_array'"):
        single_env.HalfCheetahVelocityEnv(render_mode="human")
    with pytest.raises(UsageError, match=r"'rgb_array'; allowed: None$"):
        single_env.PointNavigationEnv(render_mode="rgb_array")


def test_a_class_of_one_environment_can_be_pickled_and_described_as_json():
    env = gymnasium.make(HALF_CHEETAH)
    assert pickle.loads(pickle.dumps(type(env.unwrapped))) is type(env.unwrapped)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert type(again.unwrapped) is type(env.unwrapped)


def test_an_unknown_class_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'SubmarineEnv'"):
        single_env.SubmarineEnv  # noqa: B018
