"""Statistics of scores that a few tasks do not decide: the interquartile mean, its bootstrap interval, the median.

A mean over tasks is decided by one task that diverges. The interquartile mean leaves out the lowest and the highest
quarter of the scores. Agarwal et al. (2021, "Deep reinforcement learning at the edge of the statistical precipice")
recommend it for the few runs of reinforcement learning.
"""

import numpy as np
from numpy.typing import ArrayLike

REPLICATES = 1000
# Of the bootstrap: the same scores always give the same interval.
SEED = 1


def interquartile_mean(scores: ArrayLike) -> np.ndarray:
    """The mean of the middle half of the scores along the last axis. Of n scores, n // 4 are cut at each end.

    Args:
        scores: [..., n]. NaN counts as infinity: a score that has diverged.

    Returns:
        [...]
    """
    scores = np.asarray(scores, np.float64)
    ordered = np.sort(np.where(np.isnan(scores), np.inf, scores), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def bootstrap_interval_95(scores: ArrayLike, strata: ArrayLike | None = None) -> tuple[float, float]:
    """The 95 % percentile interval of an interquartile mean: a stratified bootstrap over seeds and tasks.

    Every replicate draws seeds with replacement and, within each stratum, tasks with replacement. All seeds keep the
    same drawn tasks, as they are tested on the same ones.

    Args:
        scores: [seeds, tasks].
        strata: [tasks], a label for each task, such as its direction; every replicate has as many tasks of a label as
            the scores have. None: one stratum.

    Returns:
        (low, high)

    Raises:
        ValueError: there are no scores, or not one label for each task.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"scores has shape {scores.shape}; expected [seeds, tasks], at least one of each")
    labels = np.zeros(scores.shape[1]) if strata is None else np.asarray(strata)
    if labels.shape != scores.shape[1:]:
        raise ValueError(f"strata has shape {labels.shape}; expected one label for each of {scores.shape[1]} tasks")
    rng = np.random.default_rng(SEED)
    seeds = rng.integers(len(scores), size=(REPLICATES, len(scores)))
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    tasks = np.concatenate([rng.choice(group, (REPLICATES, len(group))) for group in members], axis=1)
    drawn = scores[seeds[:, :, np.newaxis], tasks[:, np.newaxis, :]].reshape(REPLICATES, -1)
    # Without interpolation: a bound between a finite and an infinite replicate would not be a number.
    low, high = np.quantile(interquartile_mean(drawn), (0.025, 0.975), method="closest_observation")
    return float(low), float(high)
