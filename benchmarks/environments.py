"""The sides: where their code is, and the throw-away environments that peers run in."""

import dataclasses
import os
import pathlib
import subprocess
import sys

from maml_tf._io import atomic_write

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "bench"  # git-ignored
# What each peer's environment is installed from. On Linux pip takes PyTorch with CUDA, some gigabytes; with the address
# of PyTorch's own index of CPU builds in PIP_EXTRA_INDEX_URL it takes one of these, 190 MB.
REQUIREMENTS = {
    "jax": ("jax==0.10.2", "numpy==2.4.6"),
    "torch": ("torch==2.13.0", "numpy==2.4.6"),
    "torchopt": ("torchopt==0.7.3", "torch==2.13.0", "numpy==2.4.6"),
    "envpool": ("envpool==1.2.5", "numpy==2.4.6"),
}


@dataclasses.dataclass(frozen=True)
class Side:
    """module: in this folder; environment: key of REQUIREMENTS, None for the project's own."""

    module: str
    environment: str | None = None


SIDES = {
    "ours": Side("ours"),
    "ours_one_by_one": Side("ours"),
    "ours_recomputing": Side("ours"),
    "ours_written_out": Side("ours"),
    "ours_bfloat16": Side("ours"),
    "ours_float64": Side("ours"),
    "map_fn_reference": Side("map_fn_reference"),
    "jax_vmap": Side("peers_jax", "jax"),
    "jax_map": Side("peers_jax", "jax"),
    "torch_vmap": Side("peers_torch", "torch"),
    "torch_loop": Side("peers_torch", "torch"),
    "torchopt": Side("peers_torch", "torchopt"),
    "convolutions": Side("convolutions"),
    "sgemm": Side("sgemm"),
}
RL_SIDES = {
    "ours": Side("ours_rl"),
    "physics_only": Side("ours_rl"),
    "physics_with_profiler": Side("ours_rl"),
    "async_vector_env": Side("peers_sampling"),
    "envpool": Side("peers_sampling", "envpool"),
}


class NotInstalledError(RuntimeError):
    """A peer's environment cannot be made; the message says why."""


def python_of(environment):
    """The interpreter of an environment, which is made when it is not there yet.

    Raises:
        NotInstalledError: its packages cannot be installed here.
    """
    if environment is None:
        return sys.executable
    folder = FOLDER / f"venv-{environment}"
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = "\n".join(REQUIREMENTS[environment])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"{environment}: its environment is installed into {os.path.relpath(folder, ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        command = [python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[environment]]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NotInstalledError(f"not installed: {(done.stderr.strip().splitlines() or ['pip failed'])[-1]}")
        with atomic_write(stamp) as file:  # last, so that a broken install is never taken for a whole one
            file.write(wanted)
    return str(python)
