"""The ant: run at a goal velocity, or forward or backward (section 5.3; PROTOCOL 4.2, 4.5)."""

import abc
from typing import TYPE_CHECKING

import numpy as np

from maml_tf.rl.envs.goals import Directions, GoalDistribution, UniformGoals
from maml_tf.rl.envs.mujoco_env import HORIZON, MujocoVectorEnv, compile_spec, gymnasium_spec
from maml_tf.rl.envs.registry import register

if TYPE_CHECKING:
    import mujoco

CONTROL_COST = 0.005
CONTACT_COST = 0.0005
SURVIVAL_BONUS = 0.05
HEALTHY_HEIGHT = (0.2, 1.0)
MAX_TORQUE = 150.0
CONTACT_MARGIN = 0.01  # m; contacts push below this distance


def ant_model() -> "mujoco.MjModel":
    """Gymnasium's ant changed to rllab's: longer time step, harder contacts, torques as controls (PROTOCOL 4.2)."""
    import mujoco  # loaded when an environment is made, not with its name

    spec = gymnasium_spec("ant.xml")
    spec.option.timestep = 0.02
    for geom in spec.geoms:
        geom.solimp[:3] = (0.8, 0.8, 0.01)
    _touch_the_floor_alone(spec)
    for actuator in spec.actuators:
        actuator.gear[0] = 1.0
        actuator.ctrlrange[:] = (-MAX_TORQUE, MAX_TORQUE)
    # Today's MuJoCo computes the contact forces on bodies only if a sensor of forces or accelerations needs them.
    # Without one, 84 observations and the contact cost would be zero (PROTOCOL 4.2).
    spec.add_sensor(
        name="torso_acceleration",
        type=mujoco.mjtSensor.mjSENS_FRAMELINACC,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        objname="torso",
    )
    return compile_spec(spec)


def _touch_the_floor_alone(spec):
    """Names the pairs of geoms that can collide: the floor with each of the others, as Gymnasium's bit masks say.

    Today's MuJoCo adds up the margins of two geoms. The MuJoCo of the paper's time took the larger one. With two
    margins of 0.01 m, contacts would now push the feet from a distance of 0.02 m. A named pair has one margin. Naming
    the pairs also saves MuJoCo the search for geoms that are close to each other.
    """
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 0
        if geom.name != "floor":
            slide, spin, roll = geom.friction
            spec.add_pair(
                geomname1="floor",
                geomname2=geom.name,
                condim=geom.condim,
                friction=(slide, slide, spin, roll, roll),
                solref=geom.solref,
                solimp=geom.solimp,
                margin=CONTACT_MARGIN,
            )


class Ant(MujocoVectorEnv):
    """rllab's ant: 8 torques, 125 observations, a step of 0.02 s (RK4). A torso too low or too high ends a rollout.

    Observations are the positions and velocities (x and y included), the contact forces clipped to [-1, 1], the
    torso's rotation matrix and the centre of mass.
    """

    goal_distribution: GoalDistribution

    def __init__(self, num_envs: int, **settings):
        model = ant_model()
        self._contacts = slice(model.nq + model.nv, model.nq + model.nv + 6 * model.nbody)  # among the observations
        super().__init__(
            model,
            num_envs,
            observation_size=self._contacts.stop + 9 + 3,
            goals=self.goal_distribution,
            stage="mjSTAGE_ACC",
            initial_qpos=model.numeric("init_qpos").data,
            **settings,
        )
        self.contact_forces = self.batch.bind("cfrc_ext")
        self.torso_rotation = self.batch.body("torso").xmat

    @abc.abstractmethod
    def _progress(self, velocity, goals) -> np.ndarray:
        """The part of the reward that depends on the goal [k], for forward velocities [k]."""

    def _observe(self, rows):
        return np.concatenate(
            [
                self.qpos[rows],
                self.qvel[rows],
                np.clip(self.contact_forces[rows], -1.0, 1.0).reshape(-1, self._contacts.stop - self._contacts.start),
                self.torso_rotation[rows],
                self.torso_com[rows],
            ],
            axis=1,
        )

    def _rewards(self, rows, actions, observations):
        # The control cost is 0.005 * sum (torque / 150)^2, and torque / 150 is the action in normalised units.
        return (
            self._progress(self.torso_velocity[rows, 0], self.goals[rows])
            - CONTROL_COST * np.square(actions).sum(axis=1)
            - CONTACT_COST * np.square(observations[:, self._contacts]).sum(axis=1)
            + SURVIVAL_BONUS
        )

    def _terminated(self, rows):
        height = self.qpos[rows, 2]
        return (height < HEALTHY_HEIGHT[0]) | (height > HEALTHY_HEIGHT[1])


@register(
    "ant_velocity",
    horizon=HORIZON,
    gymnasium_id="maml_tf/AntVelocity-v0",
    title="ant, goal velocity",
    targets_id="rl_ant_goal_velocity",
)
class AntVelocity(Ant):
    """The goal is a velocity from 0 to 3 m/s. The reward is 1 - |velocity - goal| - costs + survival bonus.

    The 1 is the "positive bonus" of the paper's appendix, which keeps the ant from ending its rollouts.
    """

    goal_distribution = UniformGoals(0.0, 3.0)

    def _progress(self, velocity, goals):
        return 1.0 - np.abs(velocity - goals)


@register(
    "ant_direction",
    horizon=HORIZON,
    gymnasium_id="maml_tf/AntDirection-v0",
    title="ant, forward or backward",
    targets_id="rl_ant_forward_backward",
)
class AntDirection(Ant):
    """The goal is +1 (forward) or -1 (backward). The reward is goal x velocity - costs + survival bonus.

    The test goals follow an older rule of the authors, the only one that splits their results (PROTOCOL 4.5).
    """

    goal_distribution = Directions(test_seed=2, test_low=0.1, test_high=0.8, test_threshold=0.4)

    def _progress(self, velocity, goals):
        return goals * velocity
