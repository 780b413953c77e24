"""Loading the weights that come with the repository, or those of your own training, into a ready learner."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

import maml_tf
from maml_tf.errors import UsageError
from maml_tf.experiments.card import read_card
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.spec import ExperimentSpec, read_spec
from maml_tf.training.weights import read_weights

if TYPE_CHECKING:
    from maml_tf.meta.adapted_model import AdaptsToTasks
    from maml_tf.rl.maml_trpo import MAMLTRPO

# The networks of a cell of Table 1, in the order in which a name without one is looked for.
CELL_ENDINGS = ("_conv", "_maml", "_nonconv")
REPRODUCE = pathlib.Path(maml_tf.__file__).resolve().parent.parent / "reproduce"


def load(name: str | os.PathLike, spec: str | os.PathLike | None = None) -> AdaptsToTasks | MAMLTRPO:
    """A learner whose model has trained weights.

        learner = mt.load("sinusoid_maml")
        adapted = learner.adapt(x, y, num_steps=5)
        print(mt.load("omniglot-5way-1shot").card)

    Args:
        name: of a spec whose weights are in the repository (`reproduce/checkpoints`): "sinusoid_maml" is its first
            seed, "sinusoid_maml/seed_2" another one. A cell of Table 1 ("omniglot-5way-1shot") is the network that its
            row shows, an environment ("half-cheetah-direction") MAML's policy. Hyphens are underscores. Or the path of
            a weight file that `maml_tf train` wrote (`runs/checkpoints/<spec>/seed_1.npz`).
        spec: the spec's YAML file; by default that of the repository with the name of the weight file's folder.

    Returns:
        A MAML, or a MAMLTRPO for a policy. Its `card` is the `ModelCard` of published weights: data, split, iterations,
        scores with intervals, known failures and licence. It is None for weights of your own.

    Raises:
        UsageError: the weights or the spec are not there, they do not belong together, or nothing adapts the model.
    """
    weights = pathlib.Path(name)
    if weights.suffix != ".npz":
        weights = _shipped(str(name))
    described = read_spec(spec or _shipped_spec(weights))
    if getattr(described.inner, "step_size", None) == "tuned":
        raise UsageError(
            f"{described.name}: its inner step size is tuned for each K of the test, so there is no ready learner. "
            "Build a MAML with a step size of your choice; maml_tf.training.weights.read_weights reads the weights"
        )
    return _with_weights(described, weights)


def _with_weights(spec: ExperimentSpec, weights: pathlib.Path) -> AdaptsToTasks | MAMLTRPO:
    learner = experiment_class(spec).build_learner(spec)
    params, variables = read_weights(weights, learner), learner.model.trainable_variables
    if len(params) > len(variables):
        raise UsageError(
            f"{weights}: theta of {spec.name} has parameters besides the model's weights; pass it to the learner: "
            "learner.adapt(x, y, params=read_weights(path, learner))"
        )
    for variable, value in zip(variables, params, strict=True):
        variable.assign(value)
    learner.card = read_card(spec, weights, REPRODUCE) if weights.is_relative_to(REPRODUCE) else None
    return learner


def _shipped(name: str) -> pathlib.Path:
    """The weight file of a name in the repository."""
    folder = REPRODUCE / "checkpoints"
    if not folder.is_dir():
        raise UsageError(
            f"{name}: the trained weights are in the repository, not in the installed package: work in a clone of it, "
            "or pass the path of an .npz file from its reproduce/checkpoints and that of its spec (reproduce/specs)"
        )
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.glob("*/seed_*.npz"))}
    spec_name, _, seed = name.replace("-", "_").partition("/")
    endings = (
        ("", *CELL_ENDINGS) if spec_name.endswith("shot") else ("", "_maml") if is_environment(spec_name) else ("",)
    )
    for found in (name, *(f"{spec_name}{ending}/{seed or 'seed_1'}" for ending in endings)):
        if found in files:
            return files[found]
    specs = ", ".join(dict.fromkeys(found.split("/")[0] for found in files))
    raise UsageError(f"{name}: there are no such weights in {folder}; there are those of {specs}")


def _shipped_spec(weights: pathlib.Path) -> pathlib.Path:
    path = REPRODUCE / "specs" / f"{weights.absolute().parent.name}.yaml"
    if not path.exists():
        raise UsageError(f"{weights}: {path} does not exist; pass the YAML file that they were trained from")
    return path


def is_environment(name: str) -> bool:
    """Whether an environment of that name is registered."""
    from maml_tf.rl.envs.registry import ENVIRONMENTS

    return name in ENVIRONMENTS
