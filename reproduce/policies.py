"""What the reinforcement-learning figures, tables and videos have in common: the arms, and the paper's curves."""

from maml_tf.rl.envs.registry import environment as registered
from maml_tf.runtime import configure_runtime
from reproduce.common import HERE, measure, spec_of
from reproduce.comparison.targets import read_targets

ARMS = ("maml", "pretrained", "random", "oracle")


def measure_arms(environment, arguments, arms=ARMS):
    """Results of an environment's arms by method, trained where they are not yet."""
    for arm in arms:  # a mistake in one spec is found before hours of training by another
        spec_of(f"{environment}_{arm}", arguments)
    configure_runtime()
    return {arm: measure(f"{environment}_{arm}", arguments) for arm in arms}


def answered(environment, arguments, arms=ARMS):
    """The ids of targets.yaml that an environment's arms answer, the shares of the gap to the oracle included."""
    ids = [id_ for arm in arms for id_ in spec_of(f"{environment}_{arm}", arguments).targets]
    return [*ids, f"{registered(environment).targets_id}_gap_closed"] if "oracle" in arms else ids


def panel(environment, results):
    """An environment's panel for `reproduce.comparison.figures_rl`: our curves and the paper's."""
    entry = registered(environment)
    paper = {arm: {} for arm in results}
    for target in read_targets(HERE / "targets.yaml").entries:
        drawn = target.experiment == entry.targets_id and target.method in results and target.duplicate_of is None
        if drawn and target.metric == "mean_undiscounted_return" and target.paper_mean is not None:
            paper[target.method][target.grad_step or 0] = target.paper_mean
    extra = {
        f"{name.removeprefix('return_later_steps_x')} x the step size after the first step": (arm, curve)
        for arm, result in results.items()
        for name, curve in result.curves.items()
        if name.startswith("return_later_steps_x") and arm == "maml"
    }
    curves = {arm: result.curves["return"] for arm, result in results.items()}
    return {"title": entry.title, "curves": curves, "paper": paper, "extra": extra}
