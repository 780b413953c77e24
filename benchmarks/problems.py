"""The problem of a workload as one .npz that every side reads, in whatever environment: weights, tasks, constants.

python -m benchmarks.problems WORKLOAD FILE.npz [DATA_FOLDER]
"""

import dataclasses
import json
import math
import sys

import numpy as np

from benchmarks.environments import ROOT
from benchmarks.workloads import WORKLOADS, growth_workloads, image_shape, spec_of
from maml_tf._io import atomic_write
from maml_tf.errors import DataMissingError

SEED = 1
EVALUATED_TASKS = 20  # the library's block of test tasks; the time for all of them is a multiple
MADE_UP = "made-up images of the true shapes"
# Trained weights by network and ways: of mini-ImageNet and Omniglot 20-way after the 4000 and 2000 meta-iterations of
# their cpu profiles (reproduce/results/partial), of Omniglot 5-way from Table 1. At fresh weights one rounding error on
# every weight changes a mini-ImageNet task's meta-gradient through five steps by 2e-6 or, where a ReLU or a max-pool
# then chooses otherwise, by up to 2 % (in float64; in float32 by 0.03 to 3 %, and ours and the authors' way are equally
# far from float64), at trained ones by 0.01 %: two programs can be told to agree only there. Omniglot 20-way's changes
# by some 1e-6 at both, but for such choices.
TRAINED = {
    ("mini_imagenet_conv", 5): ROOT / "benchmarks" / "trained_mini_imagenet_conv.npz",
    ("mlp", 5): ROOT / "reproduce" / "checkpoints" / "omniglot_5way_1shot_nonconv" / "seed_1.npz",
    ("omniglot_conv", 5): ROOT / "reproduce" / "checkpoints" / "omniglot_5way_1shot_conv" / "seed_1.npz",
    ("omniglot_conv", 20): ROOT / "benchmarks" / "trained_omniglot_conv_20way.npz",
}


def write_problem(workload, path, data_folder=None):
    """Draws weights and tasks of a workload and writes them.

    The images are made-up ones where the data set is not prepared, or where other sizes are asked for.

    Args:
        workload: a Workload.
        path: of the .npz file.
        data_folder: of the prepared data sets; None: made-up images.

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


def _reinforcement_learning(spec):
    """No arrays: policies and environments are made by the sides."""
    return {
        "environment": spec.tasks.environment,
        "tasks": spec.meta.batch_size,
        "trajectories": spec.tasks.trajectories,
        "hidden": spec.model.hidden,
    }


def _sinusoid(spec):
    from maml_tf.models.mlp import MLP
    from maml_tf.tasks.sinusoid import SinusoidTasks

    batch = SinusoidTasks(spec.tasks.shots, spec.tasks.queries).sample([SEED, 0], spec.meta.batch_size)
    problem, arrays = _described(spec, MLP(1, spec.model.hidden, 1), batch)
    # The initial weights are so small that the hidden layers' gradients would drown in rounding: weights of ordinary
    # size (He) make the comparison of the gradients sharp.
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


def _image_classification(workload, spec, data_folder):
    import keras

    from maml_tf.models.conv import MiniImagenetConv, OmniglotConv
    from maml_tf.models.mlp import MLP
    from maml_tf.tasks.episodes import Episodes
    from maml_tf.training.checkpoint import read_weights

    evaluation = workload.kind == "evaluation"
    if evaluation:
        changed = dataclasses.replace(spec.meta, batch_size=EVALUATED_TASKS)
        steps = dataclasses.replace(spec.inner, train_steps=workload.steps or spec.evaluation.steps)
        spec = dataclasses.replace(spec, meta=changed, inner=steps)
    tasks, shape = spec.tasks, image_shape(workload, spec)
    queries = tasks.test_queries if evaluation else tasks.train_queries
    images, origin = _images(tasks, "test" if evaluation else "train", shape, tasks.shots + queries, data_folder)
    episodes = Episodes(images, tasks.ways, tasks.shots, queries, tasks.rotations)
    keras.utils.set_random_seed(SEED)
    if spec.model.network == "mlp":
        model = MLP(math.prod(shape), spec.model.hidden, tasks.ways, spec.model.batch_norm)
    else:
        network = {"omniglot_conv": OmniglotConv, "mini_imagenet_conv": MiniImagenetConv}[spec.model.network]
        model = network(shape, tasks.ways, spec.model.filters)
    if workload.image_side is None:  # other image sizes, for the growth of time and memory, have fresh weights
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


def _images(tasks, split, shape, images_per_class, data_folder):
    """(uint8 [C, M, *shape], where they come from): a few images of every class, which is all that one batch needs."""
    from benchmarks.workloads import IMAGE_SHAPES
    from maml_tf.experiments.few_shot import load_classes

    if data_folder is not None and shape == IMAGE_SHAPES[tasks.dataset]:
        try:
            classes = load_classes(tasks, data_folder)[split]
            return np.ascontiguousarray(classes.images[:, :images_per_class]), classes.source["origin"]
        except DataMissingError:
            pass
    rng = np.random.default_rng(SEED)
    return rng.integers(256, size=(2 * tasks.ways, images_per_class, *shape), dtype=np.uint8), MADE_UP


def _described(spec, model, batch):
    """What all supervised problems have: (problem, arrays)."""
    from maml_tf.meta.maml import all_but_norm_offsets
    from maml_tf.meta.task_execution import prefers_low_rank_updates
    from maml_tf.training.checkpoint import weight_names

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
