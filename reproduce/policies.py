"""Figures of reinforcement learning: returns while policies adapt, and the paths of 2D navigation."""

import functools
from collections.abc import Mapping
from typing import Any

from maml_tf.experiments.results import Result
from reproduce import paths
from reproduce.reproduction import Figure, Run

ARMS = ("maml", "pretrained", "random", "oracle")
# The goal of the paper's Figure 4 (PROTOCOL 4.1), and the gradient steps before its paths.
GOAL = 6
PATH_STEPS = (0, 3)


def arms(*environments: str) -> tuple[str, ...]:
    """The specs of the four arms of each environment."""
    return tuple(f"{environment}_{arm}" for environment in environments for arm in ARMS)


def returns_figure(name: str, *environments: str) -> Figure:
    """A figure with a panel for each environment: the return of each arm after each gradient step."""
    return Figure(name, arms(*environments), functools.partial(_draw_returns, environments))


def navigation_figure(name: str) -> Figure:
    """Returns on 2D navigation, and the paths of MAML's and the pretrained policy to one goal."""
    return Figure(name, arms("point_navigation"), _draw_navigation)


def panel(environment: str, results: Mapping[str, Result]) -> dict[str, Any]:
    """The panel of an environment for `reproduce.comparison.figures_rl`: our curves and the paper's.

    Args:
        environment: its name in specs.
        results: {arm: Result}.
    """
    from maml_tf.rl.envs.registry import environment as registered
    from reproduce.comparison.targets import read_targets

    entry = registered(environment)
    paper = {arm: {} for arm in results}
    for target in read_targets(paths.TARGETS).entries:
        drawn = target.experiment == entry.targets_id and target.method in results and target.duplicate_of is None
        if drawn and target.metric == "mean_undiscounted_return" and target.paper_mean is not None:
            paper[target.method][target.grad_step or 0] = target.paper_mean
    extra = {
        f"{name.removeprefix('return_later_steps_x')} x the step size after the first step": ("maml", curve)
        for name, curve in results["maml"].curves.items()
        if name.startswith("return_later_steps_x")
    }
    curves = {arm: result.curves["return"] for arm, result in results.items()}
    return {"title": entry.title, "curves": curves, "paper": paper, "extra": extra}


def _panel_of(environment, run):
    return panel(environment, {arm: run.results[f"{environment}_{arm}"] for arm in ARMS})


def _draw_returns(environments, run):
    from reproduce.comparison import figures_rl

    return figures_rl.returns([_panel_of(environment, run) for environment in environments])


def _draw_navigation(run):
    from reproduce.comparison import figures_rl

    return figures_rl.navigation(_panel_of("point_navigation", run), *_paths_to_one_goal(run))


def _paths_to_one_goal(run: Run):
    """({method: {gradient steps: positions [n, 2]}}, goal): the first trajectory of MAML and the pretrained policy."""
    found = {}
    for arm in ("maml", "pretrained"):
        name = f"point_navigation_{arm}"
        spec, trained = run.spec(name), run.trained(name)
        experiment, params = trained.experiment, trained.checkpoint.params
        index = min(GOAL, len(experiment.test_goals) - 1)  # the smoke profile has fewer goals
        stages = list(experiment.adaptation(params, spec.evaluation.later_factors[0]))
        found[arm] = {}
        for step in PATH_STEPS:
            trajectories = stages[step].trajectories
            length = trajectories.last[index].argmax() + 1
            found[arm][step] = trajectories.observations[index, :length]
    return found, experiment.test_goals[index]
