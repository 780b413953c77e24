"""What is measured: workloads made of the paper's specs, and the arithmetic that they need at least."""

import dataclasses
import itertools
import math
import pathlib

from maml_tf.experiments.spec import read_spec

SPECS = pathlib.Path(__file__).resolve().parents[1] / "reproduce" / "specs"
IMAGE_SHAPES = {"omniglot": (28, 28, 1), "mini_imagenet": (84, 84, 3)}
STRIDES = {"omniglot_conv": 2, "mini_imagenet_conv": 1}  # of the convolutions
POOLING = {"omniglot_conv": 1, "mini_imagenet_conv": 2}  # by which the max-pool behind each divides a side
BLOCKS = 4


@dataclasses.dataclass(frozen=True)
class Workload:
    """One thing that every side does again and again.

    Attributes:
        name: of the result file.
        spec: file stem in `reproduce/specs`; all sizes and constants come from there, but for those given here.
        kind: what one repetition is: "meta_gradient" (of one fixed batch), "training" (a meta-iteration inside the
            training loop: sampling, meta-gradient, Adam), "evaluation" (of one fixed block of test tasks),
            "meta_iteration" (of reinforcement learning: sampling, adaptation, TRPO) or "sampling" (of trajectories).
        sides: who takes part in `make bench`.
        peers: who does besides in `make bench-peers`.
        rounds: turns that every side gets.
        profile: of the spec.
        tasks, shots, steps, image_side: in place of the spec's, for the growth of time and memory and for tests.
    """

    name: str
    spec: str
    kind: str = "meta_gradient"
    sides: tuple[str, ...] = ("ours", "map_fn_reference")
    peers: tuple[str, ...] = ()
    rounds: int = 7
    profile: str = "paper"
    tasks: int | None = None
    shots: int | None = None
    steps: int | None = None
    image_side: int | None = None


# JAX takes part in one of mini-ImageNet's workloads only: it compiles each for minutes.
SUPERVISED_PEERS = ("jax_vmap", "jax_map", "torch_vmap", "torch_loop")
CONVOLUTIONAL_SIDES = ("ours", "map_fn_reference", "convolutions", "ours_bfloat16")
SAMPLING_SIDES = ("ours", "physics_only", "physics_with_profiler", "async_vector_env")
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("sinusoid", "sinusoid_maml", peers=(*SUPERVISED_PEERS, "torchopt"), rounds=15),
        Workload("sinusoid_training", "sinusoid_maml", "training", peers=("jax_vmap", "torch_vmap"), rounds=15),
        Workload(
            "omniglot_5way_1shot_nonconv",
            "omniglot_5way_1shot_nonconv",
            sides=("ours", "ours_written_out", "map_fn_reference"),
            peers=SUPERVISED_PEERS,
            rounds=15,
        ),
        Workload("omniglot_5way_1shot", "omniglot_5way_1shot_conv", sides=CONVOLUTIONAL_SIDES, peers=SUPERVISED_PEERS),
        Workload(
            "omniglot_20way_1shot",
            "omniglot_20way_1shot_conv",
            sides=CONVOLUTIONAL_SIDES,
            peers=SUPERVISED_PEERS,
            rounds=5,
        ),
        Workload(
            "miniimagenet_1shot",
            "miniimagenet_5way_1shot_maml",
            sides=CONVOLUTIONAL_SIDES,
            peers=SUPERVISED_PEERS,
            rounds=15,  # PyTorch with vmap takes between 2.9 and 4.8 s, and settles late
        ),
        Workload(
            "miniimagenet_1shot_first_order",
            "miniimagenet_5way_1shot_maml_first_order",
            sides=CONVOLUTIONAL_SIDES,
            peers=("torch_vmap", "torch_loop"),
            rounds=5,
        ),
        Workload(
            "miniimagenet_5shot",
            "miniimagenet_5way_5shot_maml",
            sides=("ours", "ours_one_by_one", "ours_recomputing", *CONVOLUTIONAL_SIDES[1:]),
            peers=("torch_vmap", "torch_loop"),
            rounds=5,
        ),
        Workload(
            "miniimagenet_5shot_first_order",
            "miniimagenet_5way_5shot_maml_first_order",
            sides=CONVOLUTIONAL_SIDES,
            peers=("torch_vmap", "torch_loop"),
            rounds=5,
        ),
        Workload("miniimagenet_evaluation", "miniimagenet_5way_1shot_maml", "evaluation", rounds=3),
        Workload(
            "half_cheetah_sampling", "half_cheetah_velocity_maml", "sampling", SAMPLING_SIDES, ("envpool",), rounds=3
        ),
        Workload("ant_sampling", "ant_velocity_maml", "sampling", SAMPLING_SIDES, ("envpool",), rounds=3),
        Workload("half_cheetah_iteration", "half_cheetah_velocity_maml", "meta_iteration", ("ours",), rounds=2),
        Workload("ant_iteration", "ant_velocity_maml", "meta_iteration", ("ours",), rounds=2),
    )
}

# Time and peak memory against one size at a time, the others as in the first: small enough to be measured in minutes.
GROWTH_BASE = {"tasks": 2, "shots": 1, "steps": 1, "image_side": 42}
GROWTH = {"tasks": (1, 2, 4, 8), "shots": (1, 5, 10), "steps": (1, 2, 5, 10), "image_side": (21, 42, 84)}


def growth_workloads():
    """{(size, value): Workload}: the mini-ImageNet network with one size changed at a time."""
    return {
        (size, value): Workload(
            f"growth_{size}_{value}", "miniimagenet_5way_1shot_maml", rounds=3, **(GROWTH_BASE | {size: value})
        )
        for size, values in GROWTH.items()
        for value in values
    }


def spec_of(workload):
    """The workload's ExperimentSpec, with the sizes that the workload gives in place of the spec's."""
    spec = read_spec(SPECS / f"{workload.spec}.yaml", workload.profile)
    if workload.tasks is not None:
        spec = dataclasses.replace(spec, meta=dataclasses.replace(spec.meta, batch_size=workload.tasks))
    if workload.shots is not None:
        spec = dataclasses.replace(spec, tasks=dataclasses.replace(spec.tasks, shots=workload.shots))
    if workload.steps is not None:
        spec = dataclasses.replace(spec, inner=dataclasses.replace(spec.inner, train_steps=workload.steps))
    return spec


def image_shape(workload, spec):
    """(height, width, channels) of the workload's images."""
    height, width, channels = IMAGE_SHAPES[spec.tasks.dataset]
    return (workload.image_side or height, workload.image_side or width, channels)


def layer_products(problem):
    """Multiply-adds of one example's way through each layer of the network, in order.

    A 3x3 convolution takes 9 x input channels x filters for every output pixel, a dense layer inputs x outputs.

    Args:
        problem: the description of a workload's problem (see problems.py).
    """
    if problem["network"] == "mlp":
        sizes = [math.prod(problem["input_shape"]), *problem["hidden"], problem["outputs"]]
        return [inputs * outputs for inputs, outputs in itertools.pairwise(sizes)]
    height, width, channels = problem["input_shape"]
    stride, pool, filters = STRIDES[problem["network"]], POOLING[problem["network"]], problem["filters"]
    products = []
    for _ in range(BLOCKS):
        height, width = -(-height // stride), -(-width // stride)
        products.append(height * width * 9 * channels * filters)
        height, width, channels = height // pool, width // pool, filters
    features = filters if problem["network"] == "omniglot_conv" else height * width * filters
    return [*products, features * problem["outputs"]]


def multiply_adds(problem):
    """The multiply-adds in convolutions and matrix products of one exact meta-gradient, nothing computed twice.

    For each layer y = W x. An inner step takes y, dW and dx: 3 products as large as the forward one. Differentiating
    through the step (second order) takes two for each of them, one for each factor: 6 more. The query pass takes 3.
    The first layer's x is data: no dx, one product for y and one for dW when differentiating: 2, 2 more, and 2.
    With T tasks, n support and q query examples and S steps that is T (n S (3 + 6) + 3 q) products of a layer.

    With low-rank updates (`maml_tf/ops/low_rank_updates.py`) an inner step takes no dW, so there are no products for
    its two factors: 2 and 4 (1 and 1 in the first layer). The products of rows with rows are small and left out.

    Returns:
        The count, or None for what is not a supervised meta-gradient.
    """
    if problem["kind"] not in ("meta_gradient", "training"):
        return None
    second_order = not problem["first_order"]
    total = 0
    for layer, products in enumerate(layer_products(problem)):
        step, more, query = (3, 6, 3) if layer else (2, 2, 2)
        if problem.get("low_rank_updates"):
            step, more = (2, 4) if layer else (1, 1)
        passes = problem["support"] * problem["steps"] * (step + more * second_order) + problem["queries"] * query
        total += problem["tasks"] * products * passes
    return total
