"""One rollout of a policy in a registered environment, with pictures where the environment can be drawn.

Pictures are drawn in a process of their own: TensorFlow's compiler library and that of Mesa's software renderer crash
together. This module imports neither.
"""

from __future__ import annotations

import importlib
import math
import os
import pathlib
import pickle
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np

from maml_tf._io import atomic_write
from maml_tf.errors import UsageError

FRAMES_PER_SECOND = 20  # at most
COLOURS = 48


class Rollout(NamedTuple):
    """One rollout.

    Attributes:
        frames: pictures uint8 [height, width, 3]; empty where none were asked for.
        milliseconds: how long a picture is shown in real time.
        total_reward: the undiscounted return.
    """

    frames: list[np.ndarray]
    milliseconds: int
    total_reward: float

    def save_gif(self, path: str | os.PathLike) -> None:
        """Writes the pictures as an animated GIF.

        Raises:
            UsageError: there are none.
        """
        from PIL import Image

        if not self.frames:
            raise UsageError("the rollout has no pictures: pass render=True to roll_out")
        pictures = [Image.fromarray(frame).quantize(COLOURS, dither=Image.Dither.NONE) for frame in self.frames]
        with atomic_write(path, "wb") as file:
            options = {"save_all": True, "append_images": pictures[1:], "duration": self.milliseconds, "loop": 0}
            pictures[0].save(file, format="GIF", **options)


def roll_out(
    actor: Any,
    environment: str,
    goal: Any,
    *,
    seed: int = 1,
    render: bool = False,
    size: tuple[int, int] = (320, 240),
) -> Rollout:
    """Runs a policy in one environment until the episode ends.

        learner = mt.load("half-cheetah-direction")
        rollout = mt.rl.roll_out(learner.actor(), "half_cheetah_direction", goal=1.0, render=True)
        rollout.save_gif("cheetah.gif")

    Args:
        actor: the policy of one task, such as `step.actor.tasks(0, 1)` of an AdaptationStep.
        environment: the name of a registered environment (`mt.rl.ENVIRONMENTS`).
        goal: of the task.
        seed: of the first state and of the actions' noise.
        render: draw pictures. The environment variable MUJOCO_GL names MuJoCo's renderer: egl (the default), osmesa or
            glfw.
        size: (width, height) of the pictures.

    Raises:
        UsageError: the environment is not known or cannot be drawn, the actor has several tasks, or the renderer
            crashes.
    """
    module = _check(actor, environment, render)
    if not render:
        return film(environment, goal, actor, seed=seed, size=None)
    content = pickle.dumps((module, environment, goal, actor, seed, size))
    command = [sys.executable, "-m", "maml_tf.rl.rollout"]
    variables = {"MUJOCO_GL": "egl"} | os.environ
    root = str(pathlib.Path(__file__).resolve().parents[2])
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (root, variables.get("PYTHONPATH"))))
    done = subprocess.run(command, input=content, env=variables, capture_output=True)
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise UsageError(
            f"the renderer failed with exit code {done.returncode} (MUJOCO_GL={variables['MUJOCO_GL']}): {last}. Try "
            "another: egl, osmesa or glfw"
        )
    return Rollout(*pickle.loads(done.stdout))  # written by the process above


def film(
    environment: str, goal: Any, actor: Any, *, seed: int = 1, size: tuple[int, int] | None = (200, 150)
) -> Rollout:
    """One rollout, drawn in this process.

    Args:
        environment, goal, actor, seed, size: see `roll_out`; without a size nothing is drawn.
    """
    import gymnasium

    from maml_tf.rl.envs.registry import ENVIRONMENTS

    drawing = {} if size is None else {"render_mode": "rgb_array", "width": size[0], "height": size[1]}
    env = gymnasium.make(ENVIRONMENTS[environment].gymnasium_id, **drawing)
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed, options={"goal": goal})
    steps_per_second = env.metadata.get("render_fps", FRAMES_PER_SECOND)
    steps_per_frame = math.ceil(steps_per_second / FRAMES_PER_SECOND)
    frames: list[Any] = [] if size is None else [env.render()]
    total, step, ended = 0.0, 0, False
    while not ended:
        action = actor.act(observation[np.newaxis, np.newaxis].astype(np.float32), rng)[0, 0]
        observation, reward, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
        total, step = total + float(reward), step + 1
        if size is not None and step % steps_per_frame == 0:
            frames.append(env.render())
    env.close()
    return Rollout(frames, 1000 * steps_per_frame // steps_per_second, total)


def _check(actor: Any, environment: str, render: bool) -> str:
    """Raises a UsageError as `roll_out` says; returns the module that registers the environment."""
    import maml_tf.rl.envs  # noqa: F401 - registers the environments
    from maml_tf.rl.envs.mujoco_env import MujocoVectorEnv
    from maml_tf.rl.envs.registry import environment as row_of

    row = row_of(environment)
    if render and not issubclass(row.vector_class, MujocoVectorEnv):
        raise UsageError(f"environment {environment!r} cannot be drawn: it is not simulated by MuJoCo")
    tasks = {len(p) for p in getattr(actor, "params", [])}
    if tasks - {1}:
        raise UsageError(f"actor: it has {max(tasks)} tasks; pass one of them: actor.tasks(0, 1)")
    return row.vector_class.__module__


def main() -> None:
    """Draws the rollout that the standard input describes; `roll_out` reads it."""
    module, environment, goal, actor, seed, size = pickle.load(sys.stdin.buffer)
    importlib.import_module(module)  # registers the environment
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # what libraries print is no part of the answer
    output.write(pickle.dumps(tuple(film(environment, goal, actor, seed=seed, size=size))))
    output.close()


if __name__ == "__main__":
    main()
