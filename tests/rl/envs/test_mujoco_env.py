"""What all MuJoCo environments share: dynamics against plain MuJoCo, starts, seeds, failures."""

import copy

import mujoco
import numpy as np
import pytest
from reference.mujoco_rollouts import FAMILIES, NUM_ENVS, simulations, started

from maml_tf.rl.envs.ant import AntDirection, AntVelocity
from maml_tf.rl.envs.half_cheetah import HalfCheetahVelocity


def centre_of_mass_velocity(model, data):
    """Of the torso's subtree, by its Jacobian: another way than the sensor's."""
    jacobian = np.zeros((3, model.nv))
    mujoco.mj_jacSubtreeCom(model, data, jacobian, model.body("torso").id)
    return jacobian @ data.qvel


@pytest.mark.parametrize("family", FAMILIES)
def test_dynamics_observations_and_rewards_equal_a_plain_loop_of_mujoco(family):
    envs, goals = started(family)
    model = envs.model
    data = simulations(envs)
    rng = np.random.default_rng(0)
    is_ant = issubclass(family, AntVelocity | AntDirection)
    for step in range(200):
        active = envs.active.copy()
        actions = 0.5 * rng.normal(size=(NUM_ENVS, model.nu))
        observations, rewards, terminated, truncated, info = envs.step(actions)
        assert not info["physics_failure"].any()
        for i in np.flatnonzero(active):
            clipped = np.clip(actions[i], -1, 1)
            data[i].ctrl = clipped * (150 if is_ant else 1)
            mujoco.mj_step(model, data[i])
            mujoco.mj_forward(model, data[i])
            d, com = data[i], data[i].subtree_com[1]
            np.testing.assert_allclose(envs.qpos[i], d.qpos, rtol=0, atol=1e-10)
            np.testing.assert_allclose(envs.qvel[i], d.qvel, rtol=0, atol=1e-10)
            velocity = centre_of_mass_velocity(model, d)[0]
            contacts = np.clip(d.cfrc_ext, -1, 1).ravel()
            progress = goals[i] * velocity if "Direction" in family.__name__ else -abs(velocity - goals[i])
            if is_ant:
                expected = [d.qpos, d.qvel, contacts, d.body("torso").xmat, com]
                bonus = 0.05 + (1.0 if family is AntVelocity else 0.0)
                reward = progress + bonus - 0.005 * (clipped**2).sum() - 0.0005 * (contacts**2).sum()
                assert terminated[i] == (not 0.2 <= d.qpos[2] <= 1.0)
            else:
                expected = [d.qpos[1:], d.qvel, com]
                reward = progress - 0.05 * (clipped**2).sum()
                assert not terminated[i]
            np.testing.assert_allclose(observations[i], np.concatenate(expected), rtol=0, atol=1e-10)
            assert rewards[i] == pytest.approx(reward, abs=1e-10)
            assert truncated[i] == (step == 199 and not terminated[i])


@pytest.mark.parametrize("family", [HalfCheetahVelocity, AntVelocity])
def test_looking_for_islands_changes_no_bit(family):
    envs, _ = started(family)
    without = envs.model
    searching = copy.copy(without)
    searching.opt.disableflags = 0
    assert without.opt.disableflags == mujoco.mjtDisableBit.mjDSBL_ISLAND
    one, other = simulations(envs)[0], mujoco.MjData(searching)
    other.qpos, other.qvel = one.qpos, one.qvel
    mujoco.mj_forward(searching, other)
    rng, islands = np.random.default_rng(0), []
    for _ in range(200):
        one.ctrl = other.ctrl = without.actuator_ctrlrange[:, 1] * rng.uniform(-1, 1, without.nu)
        mujoco.mj_step(without, one)
        mujoco.mj_step(searching, other)
        islands.append(other.nisland)
    np.testing.assert_array_equal(one.qpos, other.qpos)
    np.testing.assert_array_equal(one.qvel, other.qvel)
    assert max(islands) == 1


def test_starts_scatter_around_rllabs_pose():
    ants = AntVelocity(2000)
    ants.reset(seed=0)
    pose = np.array([0, 0, 0.55, 1, 0, 0, 0, 0, 1, 0, -1, 0, -1, 0, 1])
    error = 5 / np.sqrt(2000)
    # The quaternion's real part hardly scatters: noise along it is taken out again when it is normalised.
    np.testing.assert_allclose(ants.qpos.mean(axis=0), pose, atol=0.01 * error + 2e-4)
    np.testing.assert_allclose(np.delete(ants.qpos.std(axis=0), 3), 0.01, rtol=error)
    np.testing.assert_allclose(np.linalg.norm(ants.qpos[:, 3:7], axis=1), 1.0, atol=1e-15)
    np.testing.assert_allclose(ants.qvel.mean(axis=0), 0, atol=0.1 * error)
    np.testing.assert_allclose(ants.qvel.std(axis=0), 0.1, rtol=error)
    cheetahs = HalfCheetahVelocity(2000)
    cheetahs.reset(seed=0)
    np.testing.assert_allclose(cheetahs.qpos.mean(axis=0), 0, atol=0.01 * error)
    np.testing.assert_allclose(cheetahs.qpos.std(axis=0), 0.01, rtol=error)


@pytest.mark.parametrize(("family", "size"), [(HalfCheetahVelocity, 20), (AntVelocity, 125)])
def test_sizes_of_observations(family, size):
    assert family(1).single_observation_space.shape == (size,)
    envs = family(2, reveal_task=True)
    observations, _ = envs.reset(options={"goal": [0.5, 1.5]})
    assert observations.shape == (2, size + 1)
    np.testing.assert_array_equal(observations[:, -1], [0.5, 1.5])


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_trajectory_with_any_number_of_threads(family):
    def trajectory(seed, threads):
        envs = family(4, num_threads=threads)
        rng = np.random.default_rng(0)
        rows = [envs.reset(seed=seed)[0]]
        rows += [envs.step(rng.normal(size=(4, envs.model.nu)))[0] for _ in range(20)]
        return np.array(rows)

    np.testing.assert_array_equal(trajectory(7, 1), trajectory(7, 2))
    assert (trajectory(7, 1)[0] != trajectory(8, 1)[0]).any()


@pytest.mark.parametrize("family", [HalfCheetahVelocity, AntVelocity])
@pytest.mark.parametrize("value", [np.nan, 1e12])
def test_broken_physics_ends_that_rollout_only_and_is_counted(family, value):
    envs, goals = started(family)
    undisturbed, _ = started(family)
    actions = np.full((NUM_ENVS, envs.model.nu), 0.3)
    before, *_ = envs.step(actions)
    undisturbed.step(actions)
    envs.qvel[1, 0] = value
    observations, rewards, terminated, _, info = envs.step(actions)
    expected, expected_rewards, *_ = undisturbed.step(actions)
    np.testing.assert_array_equal(info["physics_failure"], [False, True, False])
    np.testing.assert_array_equal(terminated, [False, True, False])
    assert envs.physics_failures == 1
    assert rewards[1] == 0.0
    np.testing.assert_array_equal(observations[1], before[1])
    np.testing.assert_array_equal(observations[[0, 2]], expected[[0, 2]])
    np.testing.assert_array_equal(rewards[[0, 2]], expected_rewards[[0, 2]])
    envs.reset(options={"reset_mask": np.array([False, True, False]), "goal": goals})
    observations, _, terminated, _, info = envs.step(actions)
    assert not info["physics_failure"].any()
    assert not terminated.any()
    assert np.isfinite(observations).all()
