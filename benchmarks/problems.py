"""Writes the problem of a workload as one .npz file that every implementation reads: weights, tasks, constants.

python -m benchmarks.problems WORKLOAD FILE.npz [DATA_FOLDER]
"""

import dataclasses
import json
import math
import pathlib
import sys
from typing import Any

import numpy as np

from benchmarks.benchmark import Arrays
from benchmarks.growth import growth_workloads
from benchmarks.peer_venvs import ROOT
from benchmarks.workloads import IMAGE_SHAPES, WORKLOADS, Workload, image_shape, spec_of
from maml_tf._io import atomic_write
from maml_tf.errors import DataMissingError
from maml_tf.experiments.spec import ExperimentSpec

Problem = dict[str, Any]
SEED = 1
EVALUATED_TASKS = 20  # the size of the library's blocks of test tasks; the time for all tasks is a multiple
SYNTHETIC = "synthetic images of the true shapes"
# Trained weights by network and ways. Those of mini-ImageNet and Omniglot 20-way are from the cpu profiles, after 4000
# and 2000 meta-iterations, those of Omniglot 5-way from Table 1. Two programs can agree closely only at trained
# weights. At fresh weights, one rounding error in every weight changes a mini-ImageNet task's meta-gradient through
# five steps by 2e-6, and by up to 2 % where a ReLU or a max-pool then chooses otherwise (in float64; in float32 by 0.03
# to 3 %, where ours and the reference are equally far from float64). At trained weights it changes by 0.01 %. The
# meta-gradient of Omniglot 20-way changes by about 1e-6 at both, unless a choice changes.
TRAINED = {
    ("mini_imagenet_conv", 5): ROOT / "benchmarks" / "trained_mini_imagenet_conv.npz",
    ("mlp", 5): ROOT / "reproduce" / "checkpoints" / "omniglot_5way_1shot_nonconv" / "seed_1.npz",
    ("omniglot_conv", 5): ROOT / "reproduce" / "checkpoints" / "omniglot_5way_1shot_conv" / "seed_1.npz",
    ("omniglot_conv", 20): ROOT / "benchmarks" / "trained_omniglot_conv_20way.npz",
}


def write_problem(
    workload: Workload, path: str | pathlib.Path, data_folder: str | pathlib.Path | None = None
) -> tuple[Problem, Arrays]:
    """Draws the weights and tasks of a workload and writes them.

    The images are synthetic where the data set is not prepared, or where another size of images is asked for.

    Args:
        workload: what to measure.
        path: of the .npz file.
        data_folder: of the prepared data sets; None for synthetic images.

    Returns:
        (problem, arrays): as `read_problem` gives them.
    """
    spec = spec_of(workload)
    if spec.experiment == "reinforcement_learning":
        problem, arrays = _reinforcement_learning(spec), {}
    elif spec.experiment == "sinusoid":
        problem, arrays = _sinusoid(spec)
    else:
        problem, arrays = _image_classification(workload, spec, data_folder)
    problem |= {
        "workload": workload.name,
        "spec": workload.spec,
        "profile": workload.profile,
        "kind": workload.kind,
    }
    with atomic_write(path, "wb") as file:
        np.savez(file, problem=json.dumps(problem), **arrays)
    return problem, arrays


def _reinforcement_learning(spec: ExperimentSpec) -> Problem:
    """There are no arrays: the implementations make policies and environments themselves."""
    return {
        "environment": spec.tasks.environment,
        "tasks": spec.meta.batch_size,
        "trajectories": spec.tasks.trajectories,
        "hidden": spec.model.hidden,
    }


def _sinusoid(spec: ExperimentSpec) -> tuple[Problem, Arrays]:
    from maml_tf.models.mlp import MLP
    from maml_tf.tasks.sinusoid import SinusoidTasks

    batch = SinusoidTasks(spec.tasks.shots, spec.tasks.queries).sample([SEED, 0], spec.meta.batch_size)
    problem, arrays = _described(spec, MLP(1, spec.model.hidden, 1), batch)
    # With the initial weights, which are small, the hidden layers' gradients would be as small as rounding errors.
    # Weights of ordinary size (He) make the comparison of the gradients sharp.
    rng = np.random.default_rng(SEED)
    for name, kernel in arrays.items():
        if name.endswith("kernel"):
            arrays[name] = rng.normal(size=kernel.shape, scale=np.sqrt(2 / kernel.shape[0])).astype(np.float32)
    return problem | {
        "outputs": 1,
        "loss": "mean_squared_error",
        "learning_rate": spec.meta.learning_rate,
        "data": "drawn from the formula",
    }, arrays


def _image_classification(
    workload: Workload, spec: ExperimentSpec, data_folder: str | pathlib.Path | None
) -> tuple[Problem, Arrays]:
    import keras

    from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
    from maml_tf.models.mlp import MLP
    from maml_tf.tasks.episodes import Episodes
    from maml_tf.training.weights import read_weights

    evaluation = workload.kind == "evaluation"
    if evaluation:
        changed = dataclasses.replace(spec.meta, batch_size=EVALUATED_TASKS)
        steps = dataclasses.replace(spec.inner, train_steps=workload.steps or spec.evaluation.steps)
        spec = dataclasses.replace(spec, meta=changed, inner=steps)
    tasks, shape = spec.tasks, image_shape(workload, spec)
    queries = tasks.test_queries if evaluation else tasks.train_queries
    images, origin = _images(tasks, "test" if evaluation else "train", shape, tasks.shots + queries, data_folder)
    episodes = Episodes(images, tasks.ways, tasks.shots, queries, tasks.rotations, tasks.shuffle)
    keras.utils.set_random_seed(SEED)
    if spec.model.network == "mlp":
        model = MLP(math.prod(shape), spec.model.hidden, tasks.ways, spec.model.batch_norm)
    else:
        network = {"omniglot_conv": OmniglotConv, "mini_imagenet_conv": MiniImagenetConv}[spec.model.network]
        model = network(shape, tasks.ways, spec.model.filters)
    if workload.image_side is None:  # trained weights fit the true image sizes only
        trained = read_weights(TRAINED[spec.model.network, tasks.ways], model)
        for variable, weights in zip(model.trainable_variables, trained, strict=True):
            variable.assign(weights)
    problem, arrays = _described(spec, model, episodes.sample([SEED, 0], spec.meta.batch_size))
    return problem | {
        "outputs": tasks.ways,
        "shots": tasks.shots,
        "loss": "cross_entropy_over_shots",
        "data": origin,
        "test_tasks": spec.evaluation.tasks,
    }, arrays


def _images(
    tasks: Any,
    split: str,
    shape: tuple[int, int, int],
    images_per_class: int,
    data_folder: str | pathlib.Path | None,
) -> tuple[np.ndarray, str]:
    """(uint8 [C, M, *shape], their origin): only as many images of every class as one batch needs."""

    if data_folder is not None and shape == IMAGE_SHAPES[tasks.dataset]:
        try:
            classes = tasks.load(data_folder)[split]
            return np.ascontiguousarray(classes.images[:, :images_per_class]), classes.source["origin"]
        except DataMissingError:
            pass
    rng = np.random.default_rng(SEED)
    return rng.integers(256, size=(2 * tasks.ways, images_per_class, *shape), dtype=np.uint8), SYNTHETIC


def _described(spec: ExperimentSpec, model: Any, batch: Any) -> tuple[Problem, Arrays]:
    """(problem, arrays): what all supervised problems have in common."""
    from maml_tf.meta.adaptable import all_but_norm_offsets
    from maml_tf.meta.functional import weight_names
    from maml_tf.meta.task_execution import prefers_low_rank_updates

    names = weight_names(model)
    arrays = {
        f"params/{name}": np.asarray(variable) for name, variable in zip(names, model.trainable_variables, strict=True)
    }
    arrays |= {name: np.asarray(tensor) for name, tensor in batch._asdict().items()}
    network = spec.model.network
    sizes = ("hidden", "batch_norm") if network == "mlp" else ("filters",)
    return {size: getattr(spec.model, size) for size in sizes} | {
        "network": network,
        "low_rank_updates": prefers_low_rank_updates(model),
        "input_shape": list(batch.support_x.shape[2:]),
        "names": names,
        "adaptable": [bool(all_but_norm_offsets(variable)) for variable in model.trainable_variables],
        "step_size": spec.inner.step_size,
        "steps": spec.inner.train_steps,
        "first_order": spec.inner.first_order,
        "tasks": batch.num_tasks,
        "support": batch.support_x.shape[1],
        "queries": batch.query_x.shape[1],
    }, arrays


if __name__ == "__main__":
    named = WORKLOADS | {workload.name: workload for workload in growth_workloads().values()}
    write_problem(named[sys.argv[1]], *sys.argv[2:])
