"""The paper's statements that are not single numbers. A small function judges each from what was measured."""

import itertools
import math
from collections.abc import Callable, Mapping

from maml_tf.errors import UsageError
from maml_tf.experiments.results import Result
from reproduce.comparison.measurements import Measurement


class NotRunError(LookupError):
    """A value that a claim needs was not measured at paper scale."""


class Evidence:
    """What was measured at paper scale: values by target id, curves by spec and name.

    Args:
        measured: {target id: Measurement}, of results that count.
        results: {spec name: Result}.

    Attributes:
        consulted: the Results that were asked for something.
    """

    def __init__(self, measured: Mapping[str, Measurement], results: Mapping[str, Result]):
        self._measured = measured
        self._results = results
        self.consulted: list[Result] = []

    def value(self, target_id: str) -> float:
        """The measured mean of a target."""
        if target_id not in self._measured:
            raise NotRunError(target_id)
        measurement = self._measured[target_id]
        self.consulted.append(measurement.result)
        return measurement.value.mean

    def settings(self, spec: str) -> dict[str, dict[str, int | float | str]]:
        """The `settings` of a result: {name: {key: value}}."""
        return self._result(spec, spec).settings

    def curve(self, spec: str, name: str) -> tuple[float, ...]:
        """The mean of a result's curve after 0, 1, ... gradient steps."""
        result = self._result(spec, f"{spec} {name}")
        if name not in result.curves:
            raise NotRunError(f"{spec} {name}")
        return result.curves[name].mean

    def _result(self, spec, what):
        result = self._results.get(spec)
        if result is None or not result.counts:
            raise NotRunError(what)
        self.consulted.append(result)
        return result


def judge(claim_id: str, evidence: Evidence) -> tuple[bool | None, str]:
    """Whether a claim holds (None: something was not run, or it is only for information), and an explanation."""
    if claim_id not in CLAIMS:
        raise UsageError(f"claim {claim_id!r}: there is no rule to judge it; there are rules for {', '.join(CLAIMS)}")
    try:
        return CLAIMS[claim_id](evidence)
    except NotRunError as missing:
        return None, f"not run: {missing}"


def _decreasing(values):
    return all(a > b for a, b in itertools.pairwise(values))


def _smallest_gap(lower, upper):
    """The smallest distance by which `lower` is below `upper`. A diverged value is not below anything."""
    return min(b - a if math.isfinite(a) else -math.inf for a, b in zip(lower, upper, strict=True))


def _shown(values):
    return " > ".join(f"{value:.3g}" for value in values)


def _order_table2(evidence):
    methods = ("multitask_l2_reg", "multitask_no_reg", "multitask_reg_to_mean", "pretrained", "maml")
    rows = {step: [evidence.value(f"sinusoid_5shot_{m}_step{step}") for m in methods] for step in (1, 5, 10)}
    explanation = "; ".join(f"step {step}: " + ", ".join(f"{v:.3g}" for v in row) for step, row in rows.items())
    return all(map(_decreasing, rows.values())), f"L2, none, to mean, pretrained, MAML at {explanation}"


def _keeps_improving(evidence):
    curves = {K: evidence.curve("sinusoid_maml", f"{K}_shot") for K in (5, 10, 20)}
    points = {K: [curve[step] for step in (1, 5, 10)] for K, curve in curves.items()}
    return all(map(_decreasing, points.values())), "; ".join(f"K = {K}: {_shown(p)}" for K, p in points.items())


def _maml_below_pretrained(evidence):
    gaps = []
    for K in (5, 10, 20):
        maml, pretrained = (evidence.curve(f"sinusoid_{arm}", f"{K}_shot") for arm in ("maml", "pretrained"))
        gaps.append(_smallest_gap(maml[1:], pretrained[1:]))
    return min(gaps) > 0, "smallest distance for K = 5, 10, 20: " + ", ".join(f"{gap:.3g}" for gap in gaps)


def _more_shots_help(evidence):
    curves = [evidence.curve("sinusoid_maml", f"{K}_shot")[1:] for K in (5, 10, 20)]
    final = ", ".join(f"{curve[-1]:.3g}" for curve in curves)
    return all(_decreasing(step) for step in zip(*curves, strict=True)), f"after the last step, K = 5, 10, 20: {final}"


def _oracle_lowest(evidence):
    gaps = []
    for K in (5, 10, 20):
        maml, oracle = (evidence.curve(f"sinusoid_{arm}", f"{K}_shot") for arm in ("maml", "oracle"))
        gaps.append(_smallest_gap(oracle, maml))
    return min(gaps) > 0, "smallest distance for K = 5, 10, 20: " + ", ".join(f"{gap:.3g}" for gap in gaps)


def _other_half(evidence):
    maml, pretrained = (evidence.curve(f"sinusoid_{arm}", "10_shot_other_half")[-1] for arm in ("maml", "pretrained"))
    zero = evidence.curve("sinusoid_pretrained", "zero_predictor")[0]
    explanation = (
        f"error there after the last step: MAML {maml:.3g}, pretrained {pretrained:.3g}, predicting zero {zero:.3g}"
    )
    return maml < min(pretrained, zero), explanation


def _first_order_close(evidence):
    gaps = {}
    for shots in (1, 5):
        cell = f"miniimagenet_5way_{shots}shot_maml"
        gaps[shots] = evidence.value(cell) - evidence.value(f"{cell}_first_order")
    explanation = ", ".join(f"{shots}-shot {gap:+.2f}" for shots, gap in gaps.items())
    return all(abs(gap) <= 2.0 for gap in gaps.values()), f"second minus first order, points: {explanation}"


def _order_point(evidence):
    arms = {
        arm: [evidence.value(f"rl_2d_navigation_{arm}_step{step}") for step in range(5)]
        for arm in ("maml", "pretrained", "random")
    }
    maml, pretrained, random = arms["maml"], arms["pretrained"][1], arms["random"][1]
    oracle = evidence.value("rl_2d_navigation_oracle")
    best_other = max(max(returns) for returns in arms.values())
    holds = maml[1] > pretrained > random and oracle > best_other and maml[0] < maml[1] < maml[2]
    return holds, (
        f"step 1: MAML {maml[1]:.3g}, pretrained {pretrained:.3g}, random {random:.3g}; "
        f"MAML at step 2 {maml[2]:.3g}; oracle {oracle:.3g}, the best of the others at any step {best_other:.3g}"
    )


LOCOMOTION = (
    "rl_half_cheetah_goal_velocity",
    "rl_half_cheetah_forward_backward",
    "rl_ant_goal_velocity",
    "rl_ant_forward_backward",
)


def _judge_parts(part, cases):
    """Judges a claim of many parts. One broken part breaks the claim, even if other parts were not run.

    Args:
        part: function -> (whether the part holds, what was measured).
        cases: {name of a part: the function's arguments}.

    Returns:
        As `judge`; None if no part is broken and some were not run.
    """
    found, missing = {True: [], False: []}, []
    for name, arguments in cases.items():
        try:
            holds, measured = part(*arguments)
        except NotRunError:
            missing.append(name)
            continue
        found[holds].append(f"{name} ({measured})")
    kinds = {"broken": found[False], "holds": found[True], "not run": missing}
    order = ("broken", "holds", "not run") if found[False] else ("not run", "holds")
    told = "; ".join(f"{kind}: {', '.join(kinds[kind])}" for kind in order if kinds[kind])
    return False if found[False] else None if missing else True, told


def _order_locomotion(evidence):
    def part(task, step):
        oracle = evidence.value(f"{task}_oracle")
        maml, pretrained, random = (
            evidence.value(f"{task}_{arm}_step{step}") for arm in ("maml", "pretrained", "random")
        )
        measured = f"MAML {maml:.3g}, pretrained {pretrained:.3g}, random {random:.3g}, oracle {oracle:.3g}"
        return maml > pretrained and maml > random and oracle >= maml, measured

    return _judge_parts(part, _after_each_step(LOCOMOTION))


def _pretrain_worse_than_random(evidence):
    def part(task, step):
        pretrained, random = (evidence.value(f"{task}_{arm}_step{step}") for arm in ("pretrained", "random"))
        return pretrained < random, f"pretrained {pretrained:.3g}, random {random:.3g}"

    return _judge_parts(part, _after_each_step(("rl_half_cheetah_forward_backward", "rl_ant_forward_backward")))


def _after_each_step(tasks):
    """{"half cheetah goal velocity, step 1": (task, 1), ...}: the parts of a claim on tasks after 1, 2, 3 steps."""
    return {
        f"{task.removeprefix('rl_').replace('_', ' ')}, step {step}": (task, step)
        for task, step in itertools.product(tasks, (1, 2, 3))
    }


def _random_below(task, bound):
    def judge_bound(evidence):
        returns = [evidence.value(f"{task}_random_step{step}") for step in (0, 1, 2, 3)]
        return max(returns) < bound, f"highest return {max(returns):.4g}"

    return judge_bound


def _context_below_maml(evidence):
    """The claim's second half, that the two are comparable on 2D navigation, is judged by Table 4's tolerances."""

    def part(context, maml):
        below, above = evidence.value(context), evidence.value(maml)
        return below < above, f"{below:.4g} / {above:.4g}"

    pairs = {
        f"omniglot 5-way {shots}-shot": (
            f"omniglot_5way_{shots}shot_context_vector",
            f"omniglot_5way_{shots}shot_conv_maml",
        )
        for shots in (1, 5)
    }
    for name, (task, step) in _after_each_step(("rl_half_cheetah_forward_backward",)).items():
        pairs[name] = (f"{task}_context_vector_step{step}", f"{task}_maml_step{step}")
    return _judge_parts(part, pairs)


def _first_order_speed(evidence):
    saved = ", ".join(f"{cell} {noted['saved']:.0%}" for cell, noted in evidence.settings("first_order_gain").items())
    return None, f"share of a meta-iteration's time that first order saves: {saved}"


CLAIMS: dict[str, Callable[[Evidence], tuple[bool | None, str]]] = {
    "paper_bound_cheetah_velocity_random": _random_below("rl_half_cheetah_goal_velocity", -200),
    "paper_bound_ant_velocity_random": _random_below("rl_ant_goal_velocity", -25),
    "order_point": _order_point,
    "order_locomotion": _order_locomotion,
    "pretrain_worse_than_random": _pretrain_worse_than_random,
    "first_order_close": _first_order_close,
    "first_order_speed": _first_order_speed,
    "order_table2": _order_table2,
    "sinusoid_keeps_improving": _keeps_improving,
    "context_below_maml": _context_below_maml,
    "sinusoid_other_half": _other_half,
    "sinusoid_maml_below_pretrained": _maml_below_pretrained,
    "sinusoid_more_shots_help": _more_shots_help,
    "sinusoid_oracle_lowest": _oracle_lowest,
}
