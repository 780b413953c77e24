"""Where a result comes from: the code, the software and the hardware."""

import importlib.metadata
import pathlib
import platform
import subprocess
import sys
from typing import Any

from maml_tf.runtime import available_cores

PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy", "mujoco", "gymnasium")
# What `make publish` and `make docs` rewrite. A change there does not make the code another one.
NOT_CODE = ("reproduce/results", "reproduce/checkpoints", "reproduce/gate.yaml", "README.md", "docs")


def provenance() -> dict[str, Any]:
    """`git_commit`, `packages` and `hardware`, as fields of a Result."""
    return {"git_commit": git_commit(), "packages": package_versions(), "hardware": hardware()}


def git_commit() -> str:
    """The commit of this code, with "+dirty" behind it where files differ from it; "unknown" outside a clone."""
    here = pathlib.Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        excluded = [f":(top,exclude){path}" for path in NOT_CODE]
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", *excluded)
        return git("rev-parse", "HEAD") + ("+dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def package_versions() -> dict[str, str]:
    """The versions of the packages that the numbers depend on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def hardware() -> str:
    """The processor, the cores that this process may use, and the GPUs if TensorFlow is loaded."""
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    described = f"{model}, {available_cores()} cores"
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        for gpu in tensorflow.config.list_physical_devices("GPU"):
            details = tensorflow.config.experimental.get_device_details(gpu)
            described += ", " + details.get("device_name", gpu.name)
    return described
