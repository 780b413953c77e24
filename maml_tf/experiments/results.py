"""Result files: the numbers measured for one spec, and where they come from."""

import dataclasses
import json
import math
import os
import pathlib
from typing import Any, NoReturn

from maml_tf._io import atomic_write, parse_json
from maml_tf.errors import UsageError
from maml_tf.experiments.schema import from_mapping

MEASURED = ("targets", "curves", "history", "robust", "task_scores")  # the fields whose numbers may have diverged


@dataclasses.dataclass(frozen=True)
class TargetValue:
    """The measured value of one target: the mean over tasks and seeds, and its 95 % half width over tasks."""

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
class Robust:
    """Statistics over all tasks and seeds that rare tasks do not decide, after each gradient step of a curve.

    Attributes:
        median, iqm: the median, and the interquartile mean.
        iqm_low, iqm_high: the 95 % interval of `iqm`, a bootstrap over seeds and tasks.
        diverged: the share of the scores that have diverged.
    """

    median: tuple[float, ...]
    iqm: tuple[float, ...]
    iqm_low: tuple[float, ...]
    iqm_high: tuple[float, ...]
    diverged: tuple[float, ...]


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
    # By curve, of experiments whose mean rare tasks can decide.
    robust: dict[str, Robust] | None = None
    # By curve, of experiments with few test tasks: the score of each task after each step, [seeds][tasks][steps].
    task_scores: dict[str, tuple[tuple[tuple[float, ...], ...], ...]] | None = None

    @property
    def counts(self) -> bool:
        """Whether the result counts for or against a tolerance: paper profile, run to the end."""
        return self.profile == "paper" and self.iterations_done >= self.iterations_asked


def write_result(result: Result, results_folder: str | os.PathLike) -> pathlib.Path:
    """Writes a result file where `result_path` says; returns the path.

    A diverged mean is written as null, since JSON knows no infinity.

    Raises:
        UsageError: the result could not be read again.
    """
    path = result_path(result.spec, result.profile, results_folder)
    content = dataclasses.asdict(result)
    from_mapping(Result, json.loads(json.dumps(content)), path)
    with atomic_write(path) as file:
        json.dump(_finite(content), file, indent=1, allow_nan=False)
        file.write("\n")
    return path


def longer_result(result: Result, results_folder: str | os.PathLike) -> pathlib.Path | None:
    """The path of a partial result of the same spec with more iterations, or None: no shorter run may replace it."""
    path = result_path(result.spec, result.profile, results_folder)
    if result.profile == "paper" or not path.exists():
        return None
    try:
        return path if read_result(path).iterations_done > result.iterations_done else None
    except UsageError:  # damaged, or written by a version with other fields
        return None


def read_result(path: str | os.PathLike) -> Result:
    """Reads a result file and checks it.

    Raises:
        UsageError: names the file and the key that is wrong.
    """
    path = pathlib.Path(path)
    try:
        mapping = parse_json(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from None
    if isinstance(mapping, dict):
        mapping |= {key: _infinite(mapping[key]) for key in MEASURED if mapping.get(key) is not None}
    result = from_mapping(Result, mapping, path)
    if result.spec != path.stem:
        raise UsageError(f"{path}: spec: {result.spec!r} is not allowed; the file's name says {path.stem!r}")
    if not result.seeds or len(set(result.seeds)) < len(result.seeds):
        raise UsageError(f"{path}: seeds: {list(result.seeds)} is not allowed; expected different ones, at least one")
    named = [key for key in (*result.settings, *(result.history or {})) if key.startswith("seed_")]
    if others := sorted(set(named) - {f"seed_{seed}" for seed in result.seeds}):
        raise UsageError(f"{path}: seeds: {list(result.seeds)} is not allowed; settings or history has {others[0]}")
    if not 0 <= result.wall_seconds < math.inf:
        raise UsageError(f"{path}: wall_seconds: {result.wall_seconds} is not allowed; expected a number from 0")
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
    for kind in ("robust", "task_scores"):
        for name, entry in (getattr(result, kind) or {}).items():
            _check_parallel(result, name, entry, f"{path}: {kind}.{name}")
    intervals = {f"targets.{name}": (value.ci95,) for name, value in result.targets.items()}
    for name, half_widths in (intervals | {f"curves.{n}": c.ci95 for n, c in result.curves.items()}).items():
        if min(half_widths, default=0.0) < 0:
            raise UsageError(f"{path}: {name}.ci95: {min(half_widths)} is not allowed; expected numbers from 0")
    for name, value in result.targets.items():  # verdicts judge the mean, which the seeds must confirm
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


def _check_parallel(result: Result, name: str, entry: Robust | tuple, at: str) -> None:
    """Raises a UsageError where statistics or scores do not belong to a curve of the result."""
    if name not in result.curves:
        raise UsageError(f"{at}: there is no such curve; expected one of {', '.join(result.curves)}")
    steps = len(result.curves[name].grad_steps)
    if isinstance(entry, Robust):
        rows = dataclasses.asdict(entry)
        wrong = [f"{key}: {len(values)} values" for key, values in rows.items() if len(values) != steps]
    elif len(entry) != len(result.seeds) or len({len(tasks) for tasks in entry}) != 1:
        raise UsageError(f"{at}: expected the same tasks for each of {len(result.seeds)} seeds")
    else:
        wrong = [f"{len(values)} values" for tasks in entry for values in tasks if len(values) != steps]
    if wrong:
        raise UsageError(f"{at}: {wrong[0]} for {steps} gradient steps")


def read_results(results_folder: str | os.PathLike) -> dict[str, Result]:
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


def result_path(spec: str, profile: str, results_folder: str | os.PathLike) -> pathlib.Path:
    """Where a result file belongs: paper results in the folder itself, others in `half/` or `partial/` below it."""
    return pathlib.Path(results_folder) / {"paper": "", "half": "half"}.get(profile, "partial") / f"{spec}.json"


def _finite(value: Any) -> Any:
    """The value with every non-finite number as None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _infinite(value: Any) -> Any:
    """The value with every null as infinity: the reverse of `_finite`."""
    if isinstance(value, dict):
        return {key: _infinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_infinite(item) for item in value]
    return math.inf if value is None else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number; a diverged value is written as null")
