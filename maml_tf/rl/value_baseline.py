"""The linear value baseline: fitted to each task's batch and applied to the same batch (PROTOCOL 3.2)."""

import numpy as np

from maml_tf.rl.sampling.trajectories import Trajectories

OBSERVATION_LIMIT = 10.0
STEPS_PER_TIME_UNIT = 100.0
RIDGE = 1e-5
ATTEMPTS = 5


def features(observations: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """[o, o^2, t, t^2, t^3, 1] with o = observation clipped to [-10, 10] and t = step / 100.

    Args:
        observations: [..., O]
        steps: [...], the time step within the trajectory, from 0.

    Returns:
        float64 [..., 2 O + 4]
    """
    o = np.clip(np.asarray(observations, np.float64), -OBSERVATION_LIMIT, OBSERVATION_LIMIT)
    t = np.asarray(steps, np.float64)[..., np.newaxis] / STEPS_PER_TIME_UNIT
    return np.concatenate([o, o**2, t, t**2, t**3, np.ones_like(t)], axis=-1)


def fit(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Ridge regression on one task's time steps, by the normal equations.

    If the solution is not finite, the ridge is made ten times as large and the equations are solved again, at most five
    times, as the authors do. The ridge makes the equations definite, so their least-squares solver and a direct one
    agree.

    Args:
        inputs: features [n, F]
        targets: discounted returns [n]

    Returns:
        Coefficients [F].

    Raises:
        FloatingPointError: no finite solution was found: an observation or a return is not finite.
    """
    gram, moments = inputs.T @ inputs, inputs.T @ targets
    ridge = RIDGE
    for _ in range(ATTEMPTS):
        try:
            coefficients = np.linalg.solve(gram + ridge * np.eye(len(gram)), moments)
        except np.linalg.LinAlgError:
            coefficients = np.full(len(gram), np.nan)
        if np.isfinite(coefficients).all():
            return coefficients
        ridge *= 10
    raise FloatingPointError("the baseline has no finite solution: an observation or a return is not finite")


def fitted_values(trajectories: Trajectories, returns: np.ndarray) -> np.ndarray:
    """The value of every time step; each task's baseline is fitted to the samples that it is applied to.

    Args:
        trajectories: T tasks, B time steps each.
        returns: discounted returns [T, B], the targets.

    Returns:
        float64 [T, B]; 0 where the mask is False.

    Raises:
        FloatingPointError: see `fit`; the message names the task.
    """
    values = np.zeros(trajectories.mask.shape)
    for task, mask in enumerate(trajectories.mask):
        inputs = features(trajectories.observations[task, mask], trajectories.steps[task, mask])
        try:
            values[task, mask] = inputs @ fit(inputs, returns[task, mask])
        except FloatingPointError as error:
            raise FloatingPointError(f"task {task}: {error}") from error
    return values
