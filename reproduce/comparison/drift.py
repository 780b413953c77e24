"""Whether a run of yours is the published one again: curve by curve, with bounds from the scatter of the seeds.

The tolerances of targets.yaml are around the paper's numbers, and some are wide. A change of the method can stay inside
of them: the sinusoid with the inner step of the authors' code does. It does not stay within the scatter of the seeds of
the published run. A known failure is judged here, too, so that it cannot hide a breakdown.
"""

from collections.abc import Mapping

import numpy as np

from maml_tf.experiments.results import Curve, Result

# Standard errors of the difference of two means that are no drift.
STANDARD_ERRORS = 4.0
# A difference that is no drift in any case, as a share of the published mean: of errors (True), of others (False). The
# scatter of three seeds may be too small by chance.
LEAST = {True: 0.1, False: 0.01}
# A seed whose error is this many times the published one has diverged on rare tasks (docs/known_failures.md).
DIVERGED_TIMES = 5.0
# The largest share of a seed's tasks that may diverge. More is a breakdown.
DIVERGED_SHARE = 0.01


def drifts(published: Mapping[str, Result], yours: Mapping[str, Result]) -> list[str]:
    """The drifts of your results from the published ones of the same specs, one message each.

    Args:
        published, yours: {spec name: Result}. Results that do not count, partial ones for example, are left out.
    """
    messages = []
    for spec, own in yours.items():
        record = published.get(spec)
        if record is None or not (record.counts and own.counts):
            continue
        for name in sorted(record.curves.keys() & own.curves.keys()):
            messages += [f"{spec}: {name}: {problem}" for problem in _drift(record, own, name)]
        messages += [f"{spec}: {name}: not in yours" for name in sorted(record.curves.keys() - own.curves.keys())]
    return messages


def _drift(record: Result, own: Result, name: str) -> list[str]:
    curves = record.curves[name], own.curves[name]
    if curves[0].grad_steps != curves[1].grad_steps:
        return [f"steps {list(curves[1].grad_steps)}, published {list(curves[0].grad_steps)}"]
    kept = []
    for result, curve in zip((record, own), curves, strict=True):
        rows, problem = _without_diverged(result, name, curve, np.median(curves[0].per_seed, axis=0))
        if problem:
            return [problem]
        kept.append(rows)
    before, after = kept
    least = LEAST[_of_errors(record)] * np.abs(before.mean(axis=0)) + 1e-9
    allowed = np.maximum(STANDARD_ERRORS * _standard_error(curves, before, after), least)
    gap = np.abs(after.mean(axis=0) - before.mean(axis=0))
    outside = np.flatnonzero(~(gap <= allowed))
    if not outside.size:
        return []
    worst = outside[(gap / allowed)[outside].argmax()]
    values = after.mean(axis=0)[worst], before.mean(axis=0)[worst], allowed[worst]
    return ["after {} steps {:.4g}, published {:.4g} ± {:.2g}: a drift".format(curves[0].grad_steps[worst], *values)]


def _standard_error(curves: tuple[Curve, Curve], before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Of the difference of the means at every step, [steps].

    Three seeds say little about the scatter at one step. So the scatter relative to the mean is pooled over the steps
    of the curve. Of a single published seed no scatter is known: the interval over tasks takes its place.
    """
    if len(before) > 1:
        means = np.abs(before.mean(axis=0))
        relative = np.square(before.std(axis=0, ddof=1) / np.maximum(means, 1e-12))
        deviation = np.sqrt(relative.mean()) * means
    else:
        deviation = np.maximum(np.asarray(curves[0].ci95), np.asarray(curves[1].ci95)) / 1.96
    return deviation * np.sqrt(1 / len(before) + 1 / len(after))


def _of_errors(result: Result) -> bool:
    """Whether the curves are errors, which a few tasks can make very large; otherwise accuracies or returns."""
    return result.spec.startswith("sinusoid")


def _without_diverged(result: Result, name: str, curve: Curve, usual: np.ndarray) -> tuple[np.ndarray, str]:
    """The seeds [seeds, steps] that have not diverged on rare tasks, and why none can be judged."""
    rows = []
    for seed, values in zip(result.seeds, np.asarray(curve.per_seed), strict=True):
        # An error only grows when a task diverges; a return or an accuracy has no such rows.
        diverged = not np.isfinite(values).all() or (
            _of_errors(result) and (values[1:] > DIVERGED_TIMES * usual[1:]).any()
        )
        tasks = result.settings.get(f"seed_{seed}", {}).get(f"diverged_{name}")
        if diverged and tasks is not None:
            num_tasks = max((value.n_tasks for value in result.targets.values()), default=600)
            if not 0 < tasks <= DIVERGED_SHARE * num_tasks:
                return np.empty((0, 0)), f"seed {seed}: {tasks} of {num_tasks} tasks have diverged: a breakdown"
        if not diverged:
            rows.append(values)
    if not rows:
        return np.empty((0, 0)), "every seed has diverged: a breakdown"
    return np.array(rows), ""
