"""The virtual environments that the peers run in. Each is made when it is needed, below runs/bench."""

import os
import pathlib
import shutil
import subprocess
import sys

from maml_tf._io import atomic_write

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "bench"  # git-ignored
# The packages of each environment. On Linux pip installs PyTorch with CUDA, some gigabytes. With the address of
# PyTorch's own index of CPU builds in PIP_EXTRA_INDEX_URL it installs such a build, 190 MB.
REQUIREMENTS = {
    "jax": ("jax==0.12.0.1", "numpy==2.4.6"),
    "torch": ("torch==2.15.0", "numpy==2.4.6"),
    "torchopt": ("torchopt==0.7.3", "torch==2.13.0", "numpy==2.4.6"),
    "envpool": ("envpool==1.2.5", "numpy==2.4.6"),
}
# The oldest Python that the packages of an environment run on, where it is newer than ours.
OLDEST_PYTHON = {"jax": (3, 12)}


class NotInstalledError(RuntimeError):
    """The environment of a peer cannot be made; the message says why."""


def python_of(venv: str | None) -> str:
    """The path of an environment's interpreter. The environment is made if it does not exist.

    Args:
        venv: key of REQUIREMENTS; None for the project's own environment.

    Raises:
        NotInstalledError: its packages cannot be installed on this machine, or the Python that they need is not there.
    """
    if venv is None:
        return sys.executable
    folder = FOLDER / f"venv-{venv}"
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = "\n".join(REQUIREMENTS[venv])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"{venv}: installing its environment into {os.path.relpath(folder, ROOT)}", flush=True)
        subprocess.run([_interpreter(venv), "-m", "venv", "--clear", folder], check=True)
        command = [python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[venv]]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NotInstalledError(f"not installed: {(done.stderr.strip().splitlines() or ['pip failed'])[-1]}")
        with atomic_write(stamp) as file:  # last, so that an incomplete installation is not used
            file.write(wanted)
    return str(python)


def _interpreter(venv: str) -> str:
    """The path of the interpreter that makes an environment."""
    oldest = OLDEST_PYTHON.get(venv, sys.version_info[:2])
    if sys.version_info >= oldest:
        return sys.executable
    name = "python" + ".".join(map(str, oldest))
    path = shutil.which(name)
    if path is None:
        raise NotInstalledError(f"not installed: {REQUIREMENTS[venv][0]} needs {name}, which is not on the PATH")
    return path
