"""The workloads of the benchmark, each made of one of the paper's specs."""

import dataclasses
import pathlib

from maml_tf.experiments.spec import ExperimentSpec, read_spec

SPECS = pathlib.Path(__file__).resolve().parents[1] / "reproduce" / "specs"
IMAGE_SHAPES = {"omniglot": (28, 28, 1), "mini_imagenet": (84, 84, 3)}


@dataclasses.dataclass(frozen=True)
class Workload:
    """A computation that every implementation repeats.

    Attributes:
        name: of the result file.
        spec: file stem in `reproduce/specs`. All sizes and constants come from there unless they are given here.
        kind: what one repetition is: "meta_gradient" (of one fixed batch), "training" (a meta-iteration inside the
            training loop: sampling, meta-gradient, Adam), "evaluation" (of one fixed block of test tasks),
            "meta_iteration" (of reinforcement learning: sampling, adaptation, TRPO) or "sampling" (of trajectories).
        implementations: those measured by `make bench`, names in `benchmarks.implementations`.
        peers: those that `make bench-peers` adds.
        rounds: how often each implementation is timed.
        profile: of the spec.
        tasks, shots, steps, image_side: replace the spec's, to measure growth and for tests.
    """

    name: str
    spec: str
    kind: str = "meta_gradient"
    implementations: tuple[str, ...] = ("ours", "map_fn_reference")
    peers: tuple[str, ...] = ()
    rounds: int = 7
    profile: str = "paper"
    tasks: int | None = None
    shots: int | None = None
    steps: int | None = None
    image_side: int | None = None


# JAX measures only one of mini-ImageNet's workloads: it compiles each for minutes.
SUPERVISED_PEERS = ("jax_vmap", "jax_map", "torch_vmap", "torch_loop")
TORCH_PEERS = ("torch_vmap", "torch_loop")
CHANNELS_LAST = ("torch_vmap_channels_last", "torch_loop_channels_last")  # for convolutions
CONVOLUTIONAL = ("ours", "map_fn_reference", "convolutions", "ours_bfloat16")
SAMPLING = ("ours", "physics_only", "physics_with_profiler", "async_vector_env")
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "sinusoid",
            "sinusoid_maml",
            implementations=("ours", "ours_one_tensor", "call", "map_fn_reference"),
            peers=(*SUPERVISED_PEERS, "torchopt"),
            rounds=15,
        ),
        Workload("sinusoid_training", "sinusoid_maml", "training", peers=("jax_vmap", "torch_vmap"), rounds=15),
        Workload(
            "omniglot_5way_1shot_nonconv",
            "omniglot_5way_1shot_nonconv",
            implementations=("ours", "ours_materialised", "map_fn_reference"),
            peers=SUPERVISED_PEERS,
            rounds=15,
        ),
        Workload(
            "omniglot_5way_1shot",
            "omniglot_5way_1shot_conv",
            implementations=CONVOLUTIONAL,
            peers=(*SUPERVISED_PEERS, *CHANNELS_LAST),
        ),
        Workload(
            "omniglot_20way_1shot",
            "omniglot_20way_1shot_conv",
            implementations=CONVOLUTIONAL,
            peers=(*SUPERVISED_PEERS, *CHANNELS_LAST),
            rounds=5,
        ),
        Workload(
            "miniimagenet_1shot",
            "miniimagenet_5way_1shot_maml",
            implementations=CONVOLUTIONAL,
            peers=(*SUPERVISED_PEERS, *CHANNELS_LAST),
            rounds=15,  # the times of PyTorch with vmap vary most, and settle late
        ),
        Workload(
            "miniimagenet_1shot_first_order",
            "miniimagenet_5way_1shot_maml_first_order",
            implementations=CONVOLUTIONAL,
            peers=(*TORCH_PEERS, *CHANNELS_LAST),
            rounds=5,
        ),
        Workload(
            "miniimagenet_5shot",
            "miniimagenet_5way_5shot_maml",
            implementations=(
                "ours",
                "ours_one_task_at_a_time",
                "ours_gradient_checkpointing",
                *CONVOLUTIONAL[1:],
            ),
            peers=(*TORCH_PEERS, *CHANNELS_LAST),
            rounds=5,
        ),
        Workload(
            "miniimagenet_5shot_first_order",
            "miniimagenet_5way_5shot_maml_first_order",
            implementations=CONVOLUTIONAL,
            peers=(*TORCH_PEERS, *CHANNELS_LAST),
            rounds=5,
        ),
        Workload("miniimagenet_evaluation", "miniimagenet_5way_1shot_maml", "evaluation", rounds=3),
        Workload("half_cheetah_sampling", "half_cheetah_velocity_maml", "sampling", SAMPLING, ("envpool",), rounds=3),
        Workload("ant_sampling", "ant_velocity_maml", "sampling", SAMPLING, ("envpool",), rounds=3),
        Workload("half_cheetah_iteration", "half_cheetah_velocity_maml", "meta_iteration", ("ours",), rounds=2),
        Workload("ant_iteration", "ant_velocity_maml", "meta_iteration", ("ours",), rounds=2),
    )
}


# The networks by workload, as tables name them.
TITLES = {
    "sinusoid": "sinusoid",
    "omniglot_5way_1shot": "Omniglot 5-way 1-shot",
    "miniimagenet_1shot": "mini-ImageNet 5-way 1-shot",
}


def spec_of(workload: Workload) -> ExperimentSpec:
    """The workload's spec, with the sizes that the workload replaces."""
    spec = read_spec(SPECS / f"{workload.spec}.yaml", workload.profile)
    if workload.tasks is not None:
        spec = dataclasses.replace(spec, meta=dataclasses.replace(spec.meta, batch_size=workload.tasks))
    if workload.shots is not None:
        spec = dataclasses.replace(spec, tasks=dataclasses.replace(spec.tasks, shots=workload.shots))
    if workload.steps is not None:
        spec = dataclasses.replace(spec, inner=dataclasses.replace(spec.inner, train_steps=workload.steps))
    return spec


def image_shape(workload: Workload, spec: ExperimentSpec) -> tuple[int, int, int]:
    """(height, width, channels) of the workload's images."""
    height, width, channels = IMAGE_SHAPES[spec.tasks.dataset]
    return (workload.image_side or height, workload.image_side or width, channels)
