"""What the sinusoid's figures and table have in common: the arms, and predictions for drawing."""

import numpy as np
import tensorflow as tf

from maml_tf.experiments.run import train
from maml_tf.runtime import configure_runtime
from maml_tf.tasks.sinusoid import INPUT, SinusoidTasks
from reproduce.common import measure, spec_of

ARMS = ("maml", "pretrained", "oracle")
# The drawn functions: a seed of their own, apart from training, validation and test.
DRAWN_TASKS = (1, 5)


def measure_arms(arguments):
    """Results of the three arms by method, trained where they are not yet."""
    configure_runtime()
    return {arm: measure(f"sinusoid_{arm}", arguments) for arm in ARMS}


def drawn_row(arguments, results, K, index, halves=False):
    """One function with its K support points, and what MAML and the pretrained network make of it (first seed).

    Args:
        index: which of the drawn functions.
        halves: all K points in the right half of the range.

    Returns:
        A row for reproduce.comparison.figures.adaptation.
    """
    seed = tf.random.fold_in(tf.constant(DRAWN_TASKS), index, alg="philox")
    x = np.linspace(*INPUT, 200, dtype=np.float32)[:, np.newaxis]
    tasks = SinusoidTasks(K, 1, halves=halves)
    task = tasks.sample(seed, 1)
    amplitude, phase = (tf.reshape(value, []) for value in tasks.draw_functions(seed, 1))
    row = {
        "title": f"K = {K}" + (", points in one half" if halves else ""),
        "x": x.ravel(),
        "truth": (amplitude * tf.sin(x - phase)).numpy().ravel(),
        "support": (task.support_x.numpy().ravel(), task.support_y.numpy().ravel()),
        "predictions": {},
        "step_sizes": {},
    }
    for arm in ("maml", "pretrained"):
        spec = spec_of(f"sinusoid_{arm}", arguments)
        experiment, saved = train(spec, spec.seeds[0], runs_folder=arguments.runs, data_folder=arguments.data)
        learner, params = experiment.adapting, saved.chosen_params
        step_size = results[arm].settings[f"seed_{spec.seeds[0]}"].get(f"step_size_{K}_shot", spec.inner.step_size)
        after = learner.adapted_params(params, task.support_x[0], task.support_y[0], 10, step_size)
        row["predictions"][arm] = {step: learner.forward(after[step], x).numpy().ravel() for step in (0, 1, 10)}
        row["step_sizes"][arm] = step_size
    return row
