"""What the reinforcement-learning figures, tables and videos have in common: the arms, and the paper's curves."""

from maml_tf.runtime import configure_runtime
from reproduce.common import HERE, measure, spec_of
from reproduce.comparison.targets import read_targets

ARMS = ("maml", "pretrained", "random", "oracle")
# The environments by the names that specs give them: the experiment in targets.yaml, and a title.
ENVIRONMENTS = {
    "point_navigation": ("rl_2d_navigation", "2D navigation"),
    "half_cheetah_velocity": ("rl_half_cheetah_goal_velocity", "half-cheetah, goal velocity"),
    "half_cheetah_direction": ("rl_half_cheetah_forward_backward", "half-cheetah, forward or backward"),
    "ant_velocity": ("rl_ant_goal_velocity", "ant, goal velocity"),
    "ant_direction": ("rl_ant_forward_backward", "ant, forward or backward"),
}


def measure_arms(environment, arguments, arms=ARMS):
    """Results of an environment's arms by method, trained where they are not yet."""
    for arm in arms:  # a mistake in one spec is found before hours of training by another
        spec_of(f"{environment}_{arm}", arguments)
    configure_runtime()
    return {arm: measure(f"{environment}_{arm}", arguments) for arm in arms}


def answered(environment, arguments, arms=ARMS):
    """The ids of targets.yaml that an environment's arms answer, the shares of the gap to the oracle included."""
    ids = [id_ for arm in arms for id_ in spec_of(f"{environment}_{arm}", arguments).targets]
    return [*ids, f"{ENVIRONMENTS[environment][0]}_gap_closed"] if "oracle" in arms else ids


def panel(environment, results):
    """An environment's panel for `reproduce.comparison.figures_rl`: our curves and the paper's."""
    experiment, title = ENVIRONMENTS[environment]
    paper = {arm: {} for arm in results}
    for target in read_targets(HERE / "targets.yaml").entries:
        drawn = target.experiment == experiment and target.method in results and target.duplicate_of is None
        if drawn and target.metric == "mean_undiscounted_return" and target.paper_mean is not None:
            paper[target.method][target.grad_step or 0] = target.paper_mean
    extra = {
        f"{name.removeprefix('return_later_steps_x')} x the step size after the first step": (arm, curve)
        for arm, result in results.items()
        for name, curve in result.curves.items()
        if name.startswith("return_later_steps_x") and arm == "maml"
    }
    curves = {arm: result.curves["return"] for arm, result in results.items()}
    return {"title": title, "curves": curves, "paper": paper, "extra": extra}
