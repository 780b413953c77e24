"""Figures of the sinusoid: predictions before and after adaptation, and errors by gradient steps."""

import functools

from reproduce import paths
from reproduce.reproduction import Figure, Run

ARMS = ("maml", "pretrained", "oracle")
SPECS = tuple(f"sinusoid_{arm}" for arm in ARMS)
# The seed of the drawn functions. No training, validation or test uses it.
DRAWN_TASKS = (1, 5)


def adaptation_figure(name: str, *rows: tuple[int, int, bool]) -> Figure:
    """A figure with a row (K, index of the function, whether all points are in one half of the range) for each task."""
    return Figure(name, ("sinusoid_maml", "sinusoid_pretrained"), functools.partial(_draw_adaptation, rows))


def error_figure(name: str, *shots: int) -> Figure:
    """A figure with a panel for each K of `shots`: the error of the three arms after each gradient step."""
    return Figure(name, SPECS, functools.partial(_draw_errors, shots))


def _draw_adaptation(rows, run):
    from reproduce.comparison import figures

    return figures.adaptation([_drawn_row(run, *row) for row in rows])


def _draw_errors(shots, run):
    from reproduce.comparison import figures

    panels = {K: {arm: run.results[f"sinusoid_{arm}"].curves[f"{K}_shot"] for arm in ARMS} for K in shots}
    return figures.learning_curves(panels, _paper_points(shots))


def _paper_points(shots):
    """The paper's known points: (K, method, gradient steps, value)."""
    from reproduce.comparison.targets import read_targets

    return [
        (target.setting["shots"], target.method, target.grad_step, target.paper_mean)
        for target in read_targets(paths.TARGETS).entries
        if target.experiment == "sinusoid"
        and target.method in ARMS
        and target.setting.get("shots") in shots
        and target.paper_mean is not None
    ]


def _drawn_row(run: Run, K, index, halves):
    """A row for `reproduce.comparison.figures.adaptation`: a function, its K support points and the predictions.

    They are those of the first seed of MAML and of the pretrained network.
    """
    import numpy as np
    import tensorflow as tf

    from maml_tf.tasks.sinusoid import INPUT, SinusoidTasks

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
        name = f"sinusoid_{arm}"
        spec, trained = run.spec(name), run.trained(name)
        learner, params = trained.experiment.adapting, trained.checkpoint.params
        settings = run.results[name].settings[f"seed_{spec.seeds[0]}"]
        step_size = settings.get(f"step_size_{K}_shot", spec.inner.step_size)
        after = learner.adapted_params(params, task.support_x[0], task.support_y[0], 10, step_size)
        row["predictions"][arm] = {step: learner.forward(after[step], x).numpy().ravel() for step in (0, 1, 10)}
        row["step_sizes"][arm] = step_size
    return row
