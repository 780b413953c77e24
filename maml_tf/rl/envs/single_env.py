"""One environment of a family as an ordinary Gymnasium environment: the entry points of `gymnasium.make`.

`maml_tf.rl.envs.single_env.PointNavigationEnv` is one `PointNavigation`, and so for every registered class.
"""

import functools
import sys
from typing import Any, cast

import gymnasium

from maml_tf.errors import UsageError
from maml_tf.rl.envs.mujoco_env import MujocoVectorEnv
from maml_tf.rl.envs.registry import ENVIRONMENTS
from maml_tf.rl.envs.render_process import RenderProcess

CAMERA = "track"


class SingleEnv(gymnasium.Env):
    """Gymnasium's `Env` over a vector of one: the same dynamics, rewards and goals.

    `reset(options={"goal": goal})` sets the task; without it a new one is drawn. See TaskVectorEnv. The horizon is left
    to Gymnasium's `TimeLimit`, which `gymnasium.make` puts around it.

    Args:
        render_mode: None; "rgb_array" where the environment can be drawn.
        settings: handed to the class attribute `vector_class`.

    Raises:
        UsageError: another render mode.
    """

    vector_class: Any  # a class of TaskVectorEnv

    def __init__(self, render_mode: str | None = None, **settings):
        if render_mode not in (None, *self.metadata["render_modes"]):
            allowed = ", ".join(map(repr, (None, *self.metadata["render_modes"])))
            raise UsageError(f"render_mode is {render_mode!r}; allowed: {allowed}")
        self.render_mode = render_mode
        self.envs = self.vector_class(1, max_episode_steps=None, **settings)
        self.observation_space = self.envs.single_observation_space
        self.action_space = self.envs.single_action_space

    def reset(self, *, seed=None, options=None):
        """See TaskVectorEnv.reset."""
        super().reset(seed=seed)
        self.envs.np_random = self.np_random
        observations, info = self.envs.reset(options=options)
        return observations[0], info

    def step(self, action):
        """See TaskVectorEnv.step."""
        observations, rewards, terminations, truncations, info = self.envs.step(action[None])
        info = {key: value[0] for key, value in info.items()}
        return observations[0], float(rewards[0]), bool(terminations[0]), bool(truncations[0]), info


class SingleMujocoEnv(SingleEnv):
    """One environment of a `MujocoVectorEnv`, which MuJoCo can draw.

    Args:
        render_mode: None or "rgb_array".
        width, height: of the pictures, in pixels.
        settings: handed to the class attribute `vector_class`.

    Raises:
        UsageError: another render mode.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (Gymnasium's form)

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 480, **settings):
        super().__init__(render_mode, **settings)
        self.metadata = {**self.metadata, "render_fps": round(1 / self.envs.model.opt.timestep)}
        self._frame_size = (width, height)
        self._renderer = self._process = None

    def render(self):
        """The picture [height, width, 3] of the present state, uint8; None without a render mode.

        Where TensorFlow is loaded, another process draws: the two crash together.

        Raises:
            UsageError: MuJoCo finds no way to draw on this machine.
        """
        if self.render_mode is None:
            return None
        import mujoco

        model = self.envs.model
        if "tensorflow" in sys.modules:  # which may have computed: drawing here could crash
            if self._process is None:
                self._process, self._data = RenderProcess(model, *self._frame_size, CAMERA), mujoco.MjData(model)
            self.envs.batch.get_data(0, self._data)
            return self._process.draw(model, self._data)
        if self._renderer is None:
            self._renderer = renderer(model, *self._frame_size, CAMERA)
        self.envs.batch.get_data(0, self._renderer.data)
        mujoco.mj_forward(model, self._renderer.data)
        return self._renderer.render(self.render_mode)

    def close(self):
        """Frees the renderer, or ends its process."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._process is not None:
            self._process.close()
            self._process = None


@functools.cache
def single_env_class(vector_class: type) -> type[SingleEnv]:
    """The class of one environment of `vector_class`, a TaskVectorEnv; one that MuJoCo simulates can be drawn."""
    base = SingleMujocoEnv if issubclass(vector_class, MujocoVectorEnv) else SingleEnv
    name = f"{vector_class.__name__}Env"
    members = {"vector_class": vector_class, "__doc__": f"One `{vector_class.__name__}`.", "__module__": __name__}
    return cast(type[SingleEnv], type(name, (base,), members))


def __getattr__(name: str) -> type[SingleEnv]:
    """The class of one environment by its name, as Gymnasium asks for it."""
    for entry in ENVIRONMENTS.values():
        if name == f"{entry.vector_class.__name__}Env":
            return single_env_class(entry.vector_class)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def renderer(model: Any, width: int, height: int, camera: str) -> Any:
    """Gymnasium's renderer of an MjModel in this process.

    Raises:
        UsageError: MuJoCo finds no way to draw on this machine.
    """
    try:
        import mujoco
        from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer  # asks for OpenGL when imported

        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        made = MujocoRenderer(model, mujoco.MjData(model), width=width, height=height, camera_name=camera)
        made.render("rgb_array")
    except Exception as error:  # OpenGL libraries raise many kinds where there is no display or driver
        raise UsageError(
            "MuJoCo cannot draw here. Set the environment variable MUJOCO_GL to egl (a GPU or Mesa), osmesa (software) "
            f"or glfw (a display) before Python starts. The cause: {type(error).__name__}: {error}"
        ) from error
    return made
