"""MuJoCo's timer."""

import mujoco

from maml_tf.rl.envs.ant import ant_model
from maml_tf.rl.envs.half_cheetah import HalfCheetahVelocity


def test_the_timer_is_off_in_a_process_with_our_environments():
    HalfCheetahVelocity(1)
    model = ant_model()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data)
    assert data.timer[mujoco.mjtTimer.mjTIMER_STEP].number == 1
    assert data.timer[mujoco.mjtTimer.mjTIMER_STEP].duration == 0
