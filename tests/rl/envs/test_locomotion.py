"""The cheetah and the ant: dynamics against plain MuJoCo, rewards recomputed, model changes, starts, failures."""

import copy

import gymnasium
import mujoco
import numpy as np
import pytest

from maml_tf.rl.envs import ant
from maml_tf.rl.envs.ant import AntDirection, AntVelocity, ant_model
from maml_tf.rl.envs.half_cheetah import HalfCheetahDirection, HalfCheetahVelocity

FAMILIES = [HalfCheetahVelocity, HalfCheetahDirection, AntVelocity, AntDirection]
NUM_ENVS = 3


@pytest.fixture(autouse=True)
def _mujocos_warnings_go_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes MUJOCO_LOG.TXT into the working directory


def started(family, **settings):
    envs = family(NUM_ENVS, num_threads=2, **settings)
    goals = envs.goal_distribution.test_goals()[:NUM_ENVS]
    envs.reset(seed=5, options={"goal": goals})
    return envs, goals


def simulations(envs):
    """An MjData for each environment, in the state it is in."""
    data = [mujoco.MjData(envs.model) for _ in range(envs.num_envs)]
    for one, qpos, qvel in zip(data, envs.qpos, envs.qvel, strict=True):
        one.qpos, one.qvel = qpos, qvel
        mujoco.mj_forward(envs.model, one)
    return data


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
        live = envs.live.copy()
        actions = 0.5 * rng.normal(size=(NUM_ENVS, model.nu))
        observations, rewards, terminated, truncated, info = envs.step(actions)
        assert not info["physics_failure"].any()
        for i in np.flatnonzero(live):
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


def test_the_cheetahs_dynamics_are_gymnasiums_at_one_step_an_action():
    envs, _ = started(HalfCheetahVelocity)
    reference = gymnasium.make("HalfCheetah-v5", frame_skip=1).unwrapped
    reference.set_state(envs.qpos[0], envs.qvel[0])
    rng = np.random.default_rng(0)
    for _ in range(200):
        actions = rng.uniform(-1, 1, (NUM_ENVS, 6))
        envs.step(actions)
        reference.step(actions[0])
    np.testing.assert_allclose(envs.qpos[0], reference.data.qpos, rtol=0, atol=1e-10)
    np.testing.assert_allclose(envs.qvel[0], reference.data.qvel, rtol=0, atol=1e-10)


def test_mujocos_profiler_is_off_where_our_environments_run():
    HalfCheetahVelocity(1)
    model = ant_model()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data)
    assert data.timer[mujoco.mjtTimer.mjTIMER_STEP].number == 1
    assert data.timer[mujoco.mjtTimer.mjTIMER_STEP].duration == 0


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


def planar_centre_of_mass_velocity(model, qpos, qvel):
    """The cheetah's x velocity from the lengths and masses of its links alone (they all turn about the y axis)."""
    angle, spin, position, velocity = {}, {}, {}, {}
    momentum = 0.0
    for body in range(1, model.nbody):
        parent = model.body_parentid[body]
        joint = model.body_dofadr[body] + model.body_dofnum[body] - 1  # the hinge: the last of a body's joints
        if parent == 0:
            angle[body], spin[body] = qpos[2], qvel[2]
            position[body], velocity[body] = qpos[0], qvel[0]
        else:
            x, _, z = model.body_pos[body]
            cos, sin = np.cos(angle[parent]), np.sin(angle[parent])
            position[body] = position[parent] + cos * x + sin * z
            velocity[body] = velocity[parent] + spin[parent] * (-sin * x + cos * z)
            angle[body], spin[body] = angle[parent] + qpos[joint], spin[parent] + qvel[joint]
        x, _, z = model.body_ipos[body]
        cos, sin = np.cos(angle[body]), np.sin(angle[body])
        momentum += model.body_mass[body] * (velocity[body] + spin[body] * (-sin * x + cos * z))
    return momentum / 14.0


@pytest.mark.parametrize("family", [HalfCheetahVelocity, HalfCheetahDirection])
def test_the_cheetahs_reward_from_positions_and_velocities_alone(family):
    envs, goals = started(family)
    rng = np.random.default_rng(1)
    for _ in range(50):
        actions = rng.normal(size=(NUM_ENVS, 6))
        _, rewards, *_ = envs.step(actions)
    for i in range(NUM_ENVS):
        velocity = planar_centre_of_mass_velocity(envs.model, envs.qpos[i], envs.qvel[i])
        progress = -abs(velocity - goals[i]) if family is HalfCheetahVelocity else goals[i] * velocity
        assert rewards[i] == pytest.approx(progress - 0.05 * (np.clip(actions[i], -1, 1) ** 2).sum(), abs=1e-12)


def test_the_cheetahs_model_is_rllabs():
    model = HalfCheetahVelocity(1).model
    assert (model.nq, model.nv, model.nu, model.opt.timestep) == (9, 9, 6, 0.01)
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER
    assert model.body_mass.sum() == pytest.approx(14.0)
    np.testing.assert_array_equal(model.actuator_gear[:, 0], [120, 90, 60, 120, 60, 30])
    np.testing.assert_array_equal(model.actuator_ctrlrange, [[-1, 1]] * 6)


def test_the_ants_model_is_changed_to_rllabs():
    model = ant_model()
    assert (model.nq, model.nv, model.nu, model.opt.timestep) == (15, 14, 8, 0.02)
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    np.testing.assert_array_equal(model.geom_solimp[:, :3], [[0.8, 0.8, 0.01]] * model.ngeom)
    np.testing.assert_array_equal(model.geom_solref, [[0.02, 1]] * model.ngeom)
    np.testing.assert_array_equal(model.pair_solimp[:, :3], [[0.8, 0.8, 0.01]] * 13)
    np.testing.assert_array_equal(model.pair_solref, [[0.02, 1]] * 13)
    np.testing.assert_array_equal(model.pair_margin, [0.01] * 13)
    np.testing.assert_array_equal(model.actuator_gear[:, 0], np.ones(8))
    np.testing.assert_array_equal(model.actuator_ctrlrange, [[-150, 150]] * 8)
    joints = [model.joint(model.actuator_trnid[i, 0]).name for i in range(8)]
    assert joints == ["hip_4", "ankle_4", "hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3"]


def test_the_ants_pairs_touch_as_its_geoms_would_if_the_larger_margin_counted(monkeypatch):
    pairs = ant_model()

    def leave_the_floor_without_a_margin(spec):
        spec.geom("floor").margin = 0.0

    monkeypatch.setattr(ant, "_touch_the_floor_alone", leave_the_floor_without_a_margin)
    geoms = ant_model()
    assert (pairs.npair, geoms.npair) == (13, 0)
    of_pairs, of_geoms = mujoco.MjData(pairs), mujoco.MjData(geoms)
    of_geoms.qpos = geoms.numeric("init_qpos").data
    rng = np.random.default_rng(0)
    distances = []
    for _ in range(100):
        of_geoms.ctrl = of_pairs.ctrl = 150 * rng.uniform(-1, 1, 8)
        of_pairs.qpos, of_pairs.qvel = of_geoms.qpos, of_geoms.qvel
        of_pairs.qacc_warmstart = of_geoms.qacc_warmstart
        mujoco.mj_forward(pairs, of_pairs)
        mujoco.mj_forward(geoms, of_geoms)
        distances += list(of_pairs.contact.dist)
        assert of_pairs.ncon == of_geoms.ncon
        np.testing.assert_allclose(of_pairs.qacc, of_geoms.qacc, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(of_pairs.cfrc_ext, of_geoms.cfrc_ext, rtol=1e-10, atol=1e-10)
        mujoco.mj_step(geoms, of_geoms)
    assert 0.005 < max(distances) < 0.01


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


def test_a_standing_ant_feels_the_ground():
    envs, _ = started(AntVelocity)
    for _ in range(50):
        observations, *_ = envs.step(np.zeros((NUM_ENVS, 8)))
    assert (np.abs(observations[:, 29 : 29 + 84]).max(axis=1) > 0.1).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_trajectory_whatever_the_threads(family):
    def trajectory(seed, threads):
        envs = family(4, num_threads=threads)
        rng = np.random.default_rng(0)
        rows = [envs.reset(seed=seed)[0]]
        rows += [envs.step(rng.normal(size=(4, envs.model.nu)))[0] for _ in range(20)]
        return np.array(rows)

    np.testing.assert_array_equal(trajectory(7, 1), trajectory(7, 2))
    assert (trajectory(7, 1)[0] != trajectory(8, 1)[0]).any()


def test_an_ant_at_a_wrong_height_ends_its_rollout_and_the_others_go_on():
    envs, _ = started(AntDirection)
    envs.qpos[0, 2], envs.qpos[2, 2] = 1.5, 0.1
    _, _, terminated, truncated, info = envs.step(np.zeros((NUM_ENVS, 8)))
    np.testing.assert_array_equal(terminated, [True, False, True])
    np.testing.assert_array_equal(envs.live, [False, True, False])
    assert not truncated.any()
    assert not info["physics_failure"].any()
    positions = envs.qpos.copy()
    envs.step(np.zeros((NUM_ENVS, 8)))
    np.testing.assert_array_equal(envs.qpos[[0, 2]], positions[[0, 2]])
    assert (envs.qpos[1] != positions[1]).any()


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
