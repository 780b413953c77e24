"""Figure 4: 2D navigation, returns while adapting and paths to one goal (section 5.3)."""

import sys

from maml_tf.cli import exit_codes
from reproduce.common import parse_arguments, save_figure, spec_of

# The goal of the paper's figure (PROTOCOL 4.1), and the gradient steps before its paths.
GOAL = 6
STEPS = (0, 3)


def paths_to_one_goal(arguments):
    """({method: {gradient steps: positions [n, 2]}}, goal): the first trajectory of MAML and the pretrained policy."""
    from maml_tf.experiments.run import train

    paths = {}
    for arm in ("maml", "pretrained"):
        spec = spec_of(f"point_navigation_{arm}", arguments)
        experiment, saved = train(spec, spec.seeds[0], runs_folder=arguments.runs, data_folder=arguments.data)
        index = min(GOAL, len(experiment.test_goals) - 1)  # the smoke profile has fewer goals
        stages = list(experiment.adaptation(saved.chosen_params, spec.evaluation.later_factors[0]))
        paths[arm] = {}
        for step in STEPS:
            trajectories = stages[step].trajectories
            length = trajectories.last[index].argmax() + 1
            paths[arm][step] = trajectories.observations[index, :length]
    return paths, experiment.test_goals[index]


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from reproduce.compare import compare_only
    from reproduce.comparison import figures_rl
    from reproduce.policies import answered, measure_arms, panel

    results = measure_arms("point_navigation", arguments)
    figure = figures_rl.navigation(panel("point_navigation", results), *paths_to_one_goal(arguments))
    save_figure(figure, "fig4", arguments)
    return compare_only([*answered("point_navigation", arguments), "order_point"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
