"""Videos of MAML's policies before, after 1 and after 3 gradient steps, as small GIFs. `make videos`.

They show your own weights where there are some, otherwise the published ones. The environment variable MUJOCO_GL names
MuJoCo's renderer: egl, osmesa or glfw.
"""

import argparse
import multiprocessing
import os
import pathlib
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

os.environ.setdefault("MUJOCO_GL", "egl")

from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import UsageError
from maml_tf.experiments.spec import read_spec
from maml_tf.rl.envs.mujoco_env import MujocoVectorEnv
from maml_tf.rl.envs.registry import ENVIRONMENTS
from maml_tf.rl.rollout import COLOURS, film
from reproduce import paths

# The environments that MuJoCo simulates, so it can draw them.
NAMES = [entry.name for entry in ENVIRONMENTS.values() if issubclass(entry.vector_class, MujocoVectorEnv)]
STEPS = {0: "before adapting", 1: "1 gradient step", 3: "3 gradient steps"}
WIDTH, HEIGHT = 200, 150


def weights_of(environment: str) -> pathlib.Path | None:
    """The file of MAML's weights (seed 1): yours, otherwise the published one; None where there is none."""
    files = [store.checkpoints / f"{environment}_maml" / "seed_1.npz" for store in (paths.YOURS, paths.PUBLISHED)]
    return next((file for file in files if file.exists()), None)


def policies(environment: str) -> tuple[np.ndarray, dict[int, Any]]:
    """(goals [2], {gradient steps: actor of two tasks}): MAML, adapted to the smallest and to the largest test goal."""
    path = weights_of(environment)
    if path is None:
        target = f"fig5-{environment}".replace("_", "-").replace("half-", "")
        missing = os.path.relpath(paths.YOURS.checkpoints / f"{environment}_maml" / "seed_1.npz", paths.ROOT)
        raise UsageError(f"{missing} is missing: `make {target}` trains the policy")
    from maml_tf.experiments.run import build_experiment
    from maml_tf.training.weights import read_weights

    spec = read_spec(paths.SPECS / f"{environment}_maml.yaml")
    experiment = build_experiment(spec, 1, None)
    all_goals = experiment.test_goals
    goals = all_goals[[all_goals.argmin(), all_goals.argmax()]]
    params = read_weights(path, experiment.model)
    steps = list(experiment.adaptation(params, spec.evaluation.later_factors[0], goals))
    return goals, {step: steps[step].actor for step in STEPS}


def films_of_one_goal(
    environment: str, goal: float, actors: Mapping[int, Any], index: int
) -> tuple[dict[str, list[np.ndarray]], int]:
    """({caption: frames}, milliseconds a frame) of policies {gradient steps: actor} adapted to a goal.

    The goal is that of their task `index`.
    """
    films = {}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        for step, caption in STEPS.items():
            try:
                filmed = process.submit(film, environment, goal, actors[step].tasks(index, index + 1))
                frames, milliseconds, total = filmed.result()
            except BrokenProcessPool:
                raise UsageError(
                    f"the renderer crashed (MUJOCO_GL={os.environ['MUJOCO_GL']}); try another: egl, osmesa or glfw"
                ) from None
            films[f"{caption}: return {total:.0f}"] = frames
    return films, milliseconds


def write_gif(films: Mapping[str, list[np.ndarray]], milliseconds: int, path: pathlib.Path) -> None:
    """Writes films next to each other, each under its caption. A film that ends early keeps its last frame.

    Args:
        films: {caption: frames}.
        milliseconds: how long each frame is shown.
        path: of the GIF.
    """
    from PIL import Image, ImageDraw

    pictures = []
    for index in range(max(map(len, films.values()))):
        picture = Image.new("RGB", (WIDTH * len(films), HEIGHT))
        draw = ImageDraw.Draw(picture)
        for column, (caption, frames) in enumerate(films.items()):
            picture.paste(Image.fromarray(frames[min(index, len(frames) - 1)]), (column * WIDTH, 0))
            draw.text((column * WIDTH + 6, 4), caption, fill="white", stroke_width=1, stroke_fill="black")
        pictures.append(picture.quantize(COLOURS, dither=Image.Dither.NONE))
    with atomic_write(path, "wb") as file:
        pictures[0].save(
            file, format="GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, optimize=True
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "environments",
        nargs="*",
        metavar="ENVIRONMENT",
        help=f"{', '.join(NAMES)}; default: all whose weights exist",
    )
    arguments = parser.parse_args()
    for name in arguments.environments:
        if name not in NAMES:
            parser.error(f"{name!r} is not an environment to film; allowed are {', '.join(NAMES)}")
    trained = [name for name in NAMES if weights_of(name) is not None]
    for name in arguments.environments or trained or NAMES:
        goals, actors = policies(name)
        for index, goal in enumerate(goals):
            path = paths.YOURS.videos / f"{name}_goal_{round(goal, 1):g}.gif"
            write_gif(*films_of_one_goal(name, goal, actors, index), path)
            print(f"filmed: {os.path.relpath(path, paths.ROOT)}, {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
