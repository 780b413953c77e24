"""The ant: rllab's model made from Gymnasium's, its contacts, the height that ends a rollout."""

import mujoco
import numpy as np
from reference.mujoco_rollouts import NUM_ENVS, started

from maml_tf.rl.envs import ant
from maml_tf.rl.envs.ant import AntDirection, AntVelocity, ant_model


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


def test_a_standing_ant_feels_the_ground():
    envs, _ = started(AntVelocity)
    for _ in range(50):
        observations, *_ = envs.step(np.zeros((NUM_ENVS, 8)))
    assert (np.abs(observations[:, 29 : 29 + 84]).max(axis=1) > 0.1).all()


def test_an_ant_at_a_wrong_height_ends_its_rollout_and_the_others_go_on():
    envs, _ = started(AntDirection)
    envs.qpos[0, 2], envs.qpos[2, 2] = 1.5, 0.1
    _, _, terminated, truncated, info = envs.step(np.zeros((NUM_ENVS, 8)))
    np.testing.assert_array_equal(terminated, [True, False, True])
    np.testing.assert_array_equal(envs.active, [False, True, False])
    assert not truncated.any()
    assert not info["physics_failure"].any()
    positions = envs.qpos.copy()
    envs.step(np.zeros((NUM_ENVS, 8)))
    np.testing.assert_array_equal(envs.qpos[[0, 2]], positions[[0, 2]])
    assert (envs.qpos[1] != positions[1]).any()
