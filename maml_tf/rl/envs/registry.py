"""The one table of environments: what specs, figures, `targets.yaml` and Gymnasium call each of them.

An environment registers itself in the file that defines it:

    @register(
        "point_navigation",
        horizon=100,
        gymnasium_id="maml_tf/PointNavigation-v0",
        title="2D navigation",
        targets_id="rl_2d_navigation",
    )
    class PointNavigation(TaskVectorEnv): ...

From then on a spec may name it (`tasks.environment: point_navigation`) and Gymnasium can make it, one or many:

    import maml_tf.rl.envs
    env = gymnasium.make("maml_tf/PointNavigation-v0")
    envs = gymnasium.make_vec("maml_tf/PointNavigation-v0", num_envs=40, vectorization_mode="vector_entry_point")

Files in `maml_tf/rl/envs` are imported with that package. An environment in another file is known once that file has
been imported.
"""

import dataclasses
from collections.abc import Callable

import gymnasium

from maml_tf.errors import UsageError


@dataclasses.dataclass(frozen=True)
class RegisteredEnvironment:
    """One row of the table.

    Attributes:
        name: in specs, in the names of result files and on the command line.
        vector_class: the `TaskVectorEnv`, made by `vector_class(num_envs, reveal_task=...)`.
        horizon: time steps after which a rollout is truncated.
        gymnasium_id: the name for `gymnasium.make` and `gymnasium.make_vec`.
        title: in figures.
        targets_id: `experiment` in `reproduce/targets.yaml`; None for an environment that is not from the paper.
    """

    name: str
    vector_class: type
    horizon: int
    gymnasium_id: str
    title: str
    targets_id: str | None = None


ENVIRONMENTS: dict[str, RegisteredEnvironment] = {}


def register(
    name: str, *, horizon: int, gymnasium_id: str, title: str, targets_id: str | None = None
) -> Callable[[type], type]:
    """A class decorator that adds a `TaskVectorEnv` to the table and to Gymnasium.

    Args:
        name, horizon, gymnasium_id, title, targets_id: see `RegisteredEnvironment`.

    Raises:
        UsageError: the name or the Gymnasium id belongs to another class.
    """

    def add(vector_class: type) -> type:
        for entry in ENVIRONMENTS.values():
            taken = entry.name == name or entry.gymnasium_id == gymnasium_id
            if taken and _import_path(entry.vector_class) != _import_path(vector_class):
                raise UsageError(
                    f"{vector_class.__name__}: the name {name!r} or the id {gymnasium_id!r} belongs to "
                    f"{_import_path(entry.vector_class)}"
                )
        ENVIRONMENTS[name] = RegisteredEnvironment(name, vector_class, horizon, gymnasium_id, title, targets_id)
        gymnasium.register(
            gymnasium_id,
            entry_point=f"maml_tf.rl.envs.single_env:{vector_class.__name__}Env",
            vector_entry_point=_import_path(vector_class),
            max_episode_steps=horizon,
        )
        return vector_class

    return add


def environment(name: str) -> RegisteredEnvironment:
    """The row of a name.

    Raises:
        UsageError: there is no such environment; the message lists those there are.
    """
    if name not in ENVIRONMENTS:
        raise UsageError(f"environment {name!r} is not known; allowed: {', '.join(ENVIRONMENTS)}")
    return ENVIRONMENTS[name]


def _import_path(cls):
    return f"{cls.__module__}:{cls.__name__}"
