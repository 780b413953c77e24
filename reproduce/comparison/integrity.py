"""Result files are checked against what they must agree with: their own curves, their spec and their weights."""

import hashlib
import math
import pathlib

import numpy as np

from maml_tf.errors import UsageError
from maml_tf.experiments.results import Curve, Result, TargetValue, read_results, result_path
from maml_tf.experiments.spec import ExperimentSpec, read_spec
from reproduce.comparison.targets import Target, Targets
from reproduce.paths import Store

# What a mean can be, by the metric of a target and by the experiment of a spec; a return can be any number.
RANGES = {"accuracy_percent": (0.0, 100.0), "mse": (0.0, math.inf)}
METRICS = {"image_classification": "accuracy_percent", "sinusoid": "mse"}
ANY = (-math.inf, math.inf)


def read_checked_results(store: Store, targets: Targets, specs: pathlib.Path) -> dict[str, Result]:
    """The results of a store by spec name, each checked by `check_result`.

    Raises:
        UsageError: the folder or a file is missing or wrong; names file and key.
    """
    results = read_results(store.results)
    by_id = {target.id: target for target in targets.entries}
    for result in results.values():
        path = result_path(result.spec, result.profile, store.results)
        spec_file = specs / f"{result.spec}.yaml"
        check_result(result, path, by_id, read_spec(spec_file) if spec_file.exists() else None)
    return results


def check_result(result: Result, path: pathlib.Path, targets: dict[str, Target], spec: ExperimentSpec | None) -> None:
    """Derives every number of a result again from what the file says in more detail.

    Args:
        result: as read from a file.
        path: of the file, for messages.
        targets: the paper's targets by id.
        spec: the spec of that name under the profile `paper`, or None: the result is of a study.

    Raises:
        UsageError: a mean is not the mean of its seeds, a target's value is not the point of the curve that the spec
            names, a value is impossible, or the spec asks for other iterations or targets.
    """
    for name, curve in result.curves.items():
        _check_curve(curve, METRICS.get(spec.experiment) if spec else None, f"{path}: curves.{name}")
    for name, scores in (result.task_scores or {}).items():
        means = np.mean(scores, axis=1)
        if not np.allclose(means, result.curves[name].per_seed, rtol=1e-6, atol=1e-9):
            raise UsageError(f"{path}: task_scores.{name}: their means over tasks are not curves.{name}.per_seed")
    for id_, value in result.targets.items():
        at = f"{path}: targets.{id_}"
        if spec is not None and id_ not in spec.targets:
            raise UsageError(f"{at}: the spec {spec.name} does not answer this target")
        if id_ in targets:
            _check_range((value.mean, *value.per_seed), targets[id_].metric, at)
        if value.n_tasks < 1:
            raise UsageError(f"{at}.n_tasks: {value.n_tasks} is not allowed; expected a whole number from 1")
        if spec is not None and result.profile == "paper" and value.n_tasks % spec.evaluation.tasks:
            raise UsageError(
                f"{at}.n_tasks: {value.n_tasks} is not allowed; the spec {spec.name} tests "
                f"{spec.evaluation.tasks} tasks"
            )
        points = (
            [_point(result, spec.targets[id_].curve, spec.targets[id_].step)]
            if spec is not None
            else [_point(result, name, step) for name, curve in result.curves.items() for step in curve.grad_steps]
        )
        if not any(point is not None and _same_value(value, point) for point in points):
            where = f"{spec.targets[id_].curve!r} at step {spec.targets[id_].step}" if spec is not None else "any curve"
            raise UsageError(f"{at}: mean, ci95 or per_seed is not that of {where}")
    if spec is not None and result.iterations_asked != spec.iterations_asked:
        raise UsageError(
            f"{path}: iterations_asked: {result.iterations_asked} is not allowed; the spec {spec.name} asks for "
            f"{spec.iterations_asked}"
        )
    if spec is not None and result.profile == "paper" and result.spec_hash != spec.hash:
        raise UsageError(
            f"{path}: spec_hash: {result.spec_hash!r} is of another version of the spec {spec.name}, which has "
            f"{spec.hash!r} now: train it again, or remove the file"
        )


def check_weights(result: Result, path: pathlib.Path, checkpoints: pathlib.Path) -> None:
    """Compares the checksums that a result lists with the weight files that exist in a folder."""
    for name, expected in result.weights.items():
        file = checkpoints / name
        if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise UsageError(f"{path}: weights.{name}: {file} has another checksum; it is not of this result")


def check_publishable(result: Result, path: pathlib.Path, checkpoints: pathlib.Path) -> None:
    """Refuses a result that uncommitted code measured, or whose weights are missing or others."""
    if not result.git_commit or result.git_commit == "unknown" or result.git_commit.endswith("+dirty"):
        raise UsageError(
            f"{path}: git_commit: {result.git_commit!r} is not allowed; commit the code and train with that commit"
        )
    check_weights(result, path, checkpoints)
    missing = [weights for weights in result.weights if not (checkpoints / weights).exists()]
    if missing:
        raise UsageError(f"{path}: weights: {checkpoints / missing[0]} is missing")


def _check_curve(curve, metric, at):
    for point, step in enumerate(curve.grad_steps):
        per_seed = [values[point] for values in curve.per_seed]
        mean, over_seeds = curve.mean[point], sum(per_seed) / len(per_seed)
        if not math.isclose(mean, over_seeds, rel_tol=1e-9, abs_tol=1e-12):
            raise UsageError(f"{at}.mean: {mean} at step {step} is not the mean of per_seed, {over_seeds}")
        _check_range(per_seed, metric, at)


def _check_range(values, metric, at):
    low, high = RANGES.get(metric, ANY)
    for value in values:
        if not low <= value <= high:
            raise UsageError(f"{at}: {value} is not allowed; {metric} is between {low:g} and {high:g}")


def _point(result, name, step):
    """The values of a curve at a step, or None."""
    curve: Curve | None = result.curves.get(name)
    if curve is None or step not in curve.grad_steps:
        return None
    point = curve.grad_steps.index(step)
    return curve.mean[point], curve.ci95[point], tuple(values[point] for values in curve.per_seed)


def _same_value(value: TargetValue, point):
    # Both are written from the same numbers, so they agree to the last digit.
    return (value.mean, value.ci95, value.per_seed) == point
