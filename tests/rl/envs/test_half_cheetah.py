"""The half-cheetah: Gymnasium's dynamics, rllab's model, the reward from the state alone."""

import gymnasium
import mujoco
import numpy as np
import pytest
from reference.mujoco_rollouts import NUM_ENVS, started

from maml_tf.rl.envs.half_cheetah import HalfCheetahDirection, HalfCheetahVelocity


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
