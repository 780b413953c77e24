"""The physics of the locomotion environments: MuJoCo models from Gymnasium's files, stepped as one batch.

Functions import MuJoCo themselves: the names of the environments are known without loading it.
"""

import abc
import importlib.resources
import warnings
from typing import TYPE_CHECKING

import numpy as np

from maml_tf.rl.envs.goals import GoalDistribution
from maml_tf.rl.envs.mujoco_timer import disable_mujoco_timer
from maml_tf.rl.envs.vector_env import Outcome, TaskVectorEnv
from maml_tf.runtime import available_cores

if TYPE_CHECKING:
    import mujoco

HORIZON = 200  # time steps of a rollout in every locomotion environment (PROTOCOL 4.2)
POSITION_NOISE = 0.01
VELOCITY_NOISE = 0.1


def gymnasium_spec(file_name: str) -> "mujoco.MjSpec":
    """One of the models that are installed with Gymnasium, with the sensors that rewards need.

    `torso_com` and `torso_velocity` are position (m) and velocity (m/s) of the centre of mass of the torso's subtree,
    which is the whole body. rllab's rewards and observations use them (PROTOCOL 4.2).
    """
    import mujoco

    spec = mujoco.MjSpec.from_file(str(importlib.resources.files("gymnasium.envs.mujoco") / "assets" / file_name))
    for name, kind in (
        ("torso_com", mujoco.mjtSensor.mjSENS_SUBTREECOM),
        ("torso_velocity", mujoco.mjtSensor.mjSENS_SUBTREELINVEL),
    ):
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_BODY, objname="torso")
    return spec


def compile_spec(spec: "mujoco.MjSpec") -> "mujoco.MjModel":
    """The `MjModel` of a spec of one robot."""
    import mujoco

    # One robot is one island of constraints. Looking for more takes time and changes no bit.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND
    with warnings.catch_warnings():
        # Gymnasium's cheetah uses this attribute. Without it MuJoCo would scale the solver's tolerance differently, and
        # the dynamics would not be Gymnasium's to the last bit.
        warnings.filterwarnings("ignore", "compiler attribute 'settotalmass'")
        return spec.compile()


class MujocoVectorEnv(TaskVectorEnv):
    """N simulations of one model by `mujoco.batch`, one physics step per action as in rllab (PROTOCOL 4.2).

    A subclass implements `_observe`, `_rewards` and, if rollouts can end early, `_terminated`.

    Args:
        model: its actuators must have symmetric limits.
        num_envs: N.
        observation_size, goals, max_episode_steps, reveal_task: see TaskVectorEnv.
        stage: the name in MuJoCo's `mjtStage` up to which the new state is computed after a step: the first that gives
            all that observations and rewards read.
        initial_qpos: the mean of the start positions.
        num_threads: threads that simulate; by default one for each core.
    """

    def __init__(
        self,
        model: "mujoco.MjModel",
        num_envs: int,
        observation_size: int,
        goals: GoalDistribution,
        stage: str,
        initial_qpos: np.ndarray,
        max_episode_steps: int | None = HORIZON,
        reveal_task: bool = False,
        num_threads: int | None = None,
    ):
        import mujoco.batch

        super().__init__(num_envs, observation_size, model.nu, goals, max_episode_steps, reveal_task)
        disable_mujoco_timer()
        self.model = model
        self.batch = mujoco.batch.Batch(model, num_envs, nthread=num_threads or available_cores())
        self.qpos = self.batch.bind("qpos")
        self.qvel = self.batch.bind("qvel")
        self.torso_com = self.batch.sensor("torso_com").data
        self.torso_velocity = self.batch.sensor("torso_velocity").data
        self._ctrl = self.batch.bind("ctrl")
        self._stage, self._no_stage = (int(getattr(mujoco.mjtStage, name)) for name in (stage, "mjSTAGE_NONE"))
        self._simulation_error = mujoco.batch.SimulationError
        # MuJoCo's warnings BADQPOS, BADQVEL, BADQACC and BADCTRL, which follow each other.
        self._instabilities = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADCTRL) + 1)
        self._initial_qpos = initial_qpos
        self._quaternions = model.jnt_qposadr[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE] + 3

    @abc.abstractmethod
    def _observe(self, rows) -> np.ndarray:
        """Observations [k, ...] of the environments `rows`, ids or a slice (see `_rows_of`)."""

    @abc.abstractmethod
    def _rewards(self, rows, actions, observations) -> np.ndarray:
        """Rewards [k] of the step that the environments `rows` took with `actions` [k, A] in [-1, 1].

        `observations` [k, ...] are those after the step. They are passed so that nothing is gathered twice.
        """

    def _terminated(self, rows):
        """Whether the state of the environments `rows` ends the rollout: bool [k], or False for all of them."""
        return False

    def _start(self, ids):
        """rllab's start: Gaussian noise on every position and velocity (PROTOCOL 4.2)."""
        self.batch.reset(ids, stage=self._no_stage)
        noise = self.np_random.standard_normal
        self.qpos[ids] = self._initial_qpos + POSITION_NOISE * noise((len(ids), self.model.nq))
        self.qvel[ids] = VELOCITY_NOISE * noise((len(ids), self.model.nv))
        for start in self._quaternions:
            # The MuJoCo of the paper's time normalised quaternions in place; today's does not.
            quaternions = self.qpos[ids, start : start + 4]
            self.qpos[ids, start : start + 4] = quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
        self.batch.forward(ids, stage=self._stage)
        return self._observe(self._rows_of(ids))

    def _advance(self, ids, actions):
        rows = self._rows_of(ids)
        self._ctrl[rows] = actions * self.model.actuator_ctrlrange[:, 1]
        failed = np.zeros(len(ids), bool)
        try:
            self.batch.step(ids, stage=self._stage)
        except self._simulation_error as error:
            failed |= np.isin(ids, error.ids)
        # MuJoCo resets an unstable simulation by itself and counts a warning, which only our reset clears.
        warned = self.batch.warning[:, self._instabilities, 1]
        if warned.any():  # hardly ever
            failed |= warned[ids].any(axis=1)
        observations = self._observe(rows)
        terminated = np.zeros(len(ids), bool) | self._terminated(rows)
        return Outcome(observations, self._rewards(rows, actions, observations), terminated, failed)
