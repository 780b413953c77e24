"""Result files: what was measured for one spec, and where it came from."""

import dataclasses
import importlib.metadata
import json
import math
import pathlib
import platform
import subprocess
import sys

from maml_tf._io import atomic_write
from maml_tf.errors import UsageError
from maml_tf.experiments.spec import from_mapping
from maml_tf.runtime import available_cores

MEASURED = ("targets", "curves", "history")
# What `make publish` and `make docs` rewrite. A change there does not make the code another one.
NOT_CODE = ("reproduce/results", "reproduce/checkpoints", "reproduce/gate.yaml", "README.md", "docs")
PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy", "mujoco", "gymnasium")


@dataclasses.dataclass(frozen=True)
class TargetValue:
    """What was measured for one target: the mean over tasks and seeds, its 95 % half width over tasks."""

    mean: float
    ci95: float
    n_tasks: int
    per_seed: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Curve:
    """Values after each gradient step; `per_seed` holds a row for each seed."""

    grad_steps: tuple[int, ...]
    mean: tuple[float, ...]
    ci95: tuple[float, ...]
    per_seed: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """One result file (the fields are described in reproduce/results/README.md)."""

    spec: str
    profile: str
    seeds: tuple[int, ...]
    iterations_done: int
    iterations_asked: int
    targets: dict[str, TargetValue]
    curves: dict[str, Curve]
    settings: dict[str, dict[str, int | float | str]]
    data: dict[str, str]
    spec_hash: str
    git_commit: str
    packages: dict[str, str]
    hardware: str
    wall_seconds: float
    command: str
    weights: dict[str, str]
    # How each seed's training went, under "seed_<n>": "losses" and "validations", each of rows (iteration, value).
    history: dict[str, dict[str, tuple[tuple[float, ...], ...]]] | None = None

    @property
    def counts(self):
        """Whether the result counts for or against a tolerance: paper profile, run to the end."""
        return self.profile == "paper" and self.iterations_done >= self.iterations_asked


def write_result(result, results_folder):
    """Writes a result file where `result_path` says; returns the path.

    A diverged mean is written as null, since JSON knows no infinity.

    Raises:
        UsageError: what stands in the result could not be read again.
    """
    path = result_path(result.spec, result.profile, results_folder)
    content = dataclasses.asdict(result)
    from_mapping(Result, json.loads(json.dumps(content)), path)
    with atomic_write(path) as file:
        json.dump(_finite(content), file, indent=1, allow_nan=False)
        file.write("\n")
    return path


def longer_result(result, results_folder):
    """The path of a partial result of the same spec with more iterations, or None: no shorter run may replace it."""
    path = result_path(result.spec, result.profile, results_folder)
    if result.profile == "paper" or not path.exists():
        return None
    try:
        return path if read_result(path).iterations_done > result.iterations_done else None
    except UsageError:  # damaged, or written by a version with other fields
        return None


def read_result(path):
    """Reads a result file; UsageError names the file and the key that is not as it should be."""
    path = pathlib.Path(path)
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from None
    if isinstance(mapping, dict):  # only measured values can have diverged
        mapping |= {key: _infinite(mapping[key]) for key in MEASURED if mapping.get(key) is not None}
    result = from_mapping(Result, mapping, path)
    if result.spec != path.stem:
        raise UsageError(f"{path}: spec: {result.spec!r} is not allowed; the file's name says {path.stem!r}")
    if not result.seeds:
        raise UsageError(f"{path}: seeds: at least one is needed")
    if result.iterations_asked < 0 or result.iterations_done < 0:
        raise UsageError(
            f"{path}: iterations_done, iterations_asked: {result.iterations_done}, {result.iterations_asked} are not "
            "allowed; expected whole numbers from 0"
        )
    for kind, entries in (("targets", result.targets), ("curves", result.curves)):
        for name, entry in entries.items():
            if len(entry.per_seed) != len(result.seeds):
                raise UsageError(
                    f"{path}: {kind}.{name}.per_seed: {len(entry.per_seed)} values for {len(result.seeds)} seeds"
                )
    for name, value in result.targets.items():  # the verdict goes by the mean, the seeds must bear it out
        over_seeds = sum(value.per_seed) / len(value.per_seed)
        if not math.isclose(value.mean, over_seeds, rel_tol=1e-5, abs_tol=1e-9):
            raise UsageError(f"{path}: targets.{name}.mean: {value.mean} is not the mean of per_seed, {over_seeds}")
    for name, curve in result.curves.items():
        for key, values in (("mean", curve.mean), ("ci95", curve.ci95), *(("per_seed", row) for row in curve.per_seed)):
            if len(values) != len(curve.grad_steps):
                raise UsageError(
                    f"{path}: curves.{name}.{key}: {len(values)} values for {len(curve.grad_steps)} gradient steps"
                )
    return result


def read_results(results_folder):
    """All results of a folder: {spec name: Result}, one for each spec.

    A paper result comes before one of the half-way mark, and that one before any other partial result.
    """
    folder = pathlib.Path(results_folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of results")
    results = {}
    for path in (path for pattern in ("*", "half/*", "partial/*") for path in sorted(folder.glob(f"{pattern}.json"))):
        if path.name != "comparison.json":
            result = read_result(path)
            if path != result_path(result.spec, result.profile, folder):
                raise UsageError(
                    f"{path}: profile: {result.profile!r} does not belong here; results of the profile 'paper' are in "
                    "the folder itself, those of 'half' in half/, all others in partial/"
                )
            results.setdefault(result.spec, result)
    return results


def provenance():
    """Where a result comes from: git_commit, packages and hardware, as fields of a Result."""
    return {"git_commit": _git_commit(), "packages": _package_versions(), "hardware": _hardware()}


def result_path(spec: str, profile: str, results_folder: str | pathlib.Path) -> pathlib.Path:
    """Where a result file belongs: paper results in the folder itself, others in `half/` or `partial/` below it."""
    return pathlib.Path(results_folder) / {"paper": "", "half": "half"}.get(profile, "partial") / f"{spec}.json"


def _git_commit():
    here = pathlib.Path(__file__).resolve().parent

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        rewritten = [f":(top,exclude){path}" for path in NOT_CODE]
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", *rewritten)
        return git("rev-parse", "HEAD") + ("+dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _package_versions():
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _hardware():
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    hardware = f"{model}, {available_cores()} cores"
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        for gpu in tensorflow.config.list_physical_devices("GPU"):
            hardware += ", " + tensorflow.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
    return hardware


def _finite(value):
    """The value with every non-finite number as None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _infinite(value):
    """The value with every null as infinity: the reverse of `_finite`."""
    if isinstance(value, dict):
        return {key: _infinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_infinite(item) for item in value]
    return math.inf if value is None else value


def _no_constant(name):
    raise ValueError(f"{name} is not a number; a diverged value is written as null")
