"""The implementations of the workloads: one module for each way to compute the same thing.

Each module has two functions:

    prepare(name, problem, arrays) -> Benchmark   name: of the implementation; problem, arrays: of `read_problem`
    versions() -> {package: version}              of the packages that it runs on

A meta-gradient is computed in the precision of `arrays`, which is float32 except where two results are compared.

Nothing of maml_tf is imported in this file: peers run in environments without TensorFlow.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Implementation:
    """Where an implementation is.

    Attributes:
        module: its module in this folder.
        venv: key of `peer_venvs.REQUIREMENTS`; None for the project's own environment.
    """

    module: str
    venv: str | None = None


SUPERVISED = {
    "ours": Implementation("ours"),
    "ours_one_task_at_a_time": Implementation("ours"),
    "ours_gradient_checkpointing": Implementation("ours"),
    "ours_materialised": Implementation("ours"),
    "ours_one_tensor": Implementation("ours"),
    "ours_bfloat16": Implementation("ours"),
    "map_fn_reference": Implementation("map_fn_reference"),
    "jax_vmap": Implementation("peers_jax", "jax"),
    "jax_map": Implementation("peers_jax", "jax"),
    "torch_vmap": Implementation("peers_torch", "torch"),
    "torch_loop": Implementation("peers_torch", "torch"),
    "torch_vmap_channels_last": Implementation("peers_torch", "torch"),
    "torch_loop_channels_last": Implementation("peers_torch", "torch"),
    "torchopt": Implementation("peers_torch", "torchopt"),
    "convolutions": Implementation("convolutions"),
    "sgemm": Implementation("sgemm"),
    "call": Implementation("ours"),
}
REINFORCEMENT_LEARNING = {
    "ours": Implementation("ours_rl"),
    "physics_only": Implementation("ours_rl"),
    "physics_with_profiler": Implementation("ours_rl"),
    "async_vector_env": Implementation("peers_sampling"),
    "envpool": Implementation("peers_sampling", "envpool"),
}
ALL = SUPERVISED | REINFORCEMENT_LEARNING
