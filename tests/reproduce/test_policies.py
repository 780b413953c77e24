"""The figures of reinforcement learning: the paper's curves next to ours."""

import pytest

from maml_tf.experiments.results import Curve
from maml_tf.rl.envs.registry import ENVIRONMENTS
from reproduce import fig5, policies
from reproduce.comparison import figures_rl


class Measured:
    """A result with flat curves of a length."""

    def __init__(self, points, *others):
        curve = Curve(tuple(range(points)), (1.0,) * points, (0.1,) * points, ((1.0,) * points,))
        self.curves = {"return": curve} | dict.fromkeys(others, curve)


def panel(environment, steps, *others):
    arms = {arm: Measured(1 if arm == "oracle" else steps + 1, *others) for arm in policies.ARMS}
    return policies.panel(environment, arms)


def test_a_panel_holds_the_papers_curve_of_every_arm():
    navigation = panel("point_navigation", 4)
    assert navigation["paper"]["maml"] == {0: -40.407, 1: -11.68, 2: -3.328, 3: -3.23, 4: -3.351}
    assert navigation["paper"]["oracle"] == {0: -2.288}
    for environment in fig5.PANELS:
        paper = panel(environment, 3)["paper"]
        counts = {arm: len(points) for arm, points in paper.items()}
        assert counts == {"maml": 4, "pretrained": 4, "random": 4, "oracle": 1}


@pytest.mark.parametrize("environment", fig5.PANELS)
def test_every_panel_is_an_environment_of_the_paper(environment):
    assert ENVIRONMENTS[environment].targets_id is not None


def test_the_figures_draw_bands_paper_and_flat_oracle():
    whole = figures_rl.returns([panel("ant_direction", 3, "return_later_steps_x0.01"), panel("ant_velocity", 3)])
    direction, velocity = whole.axes
    assert direction.get_title() == "ant, forward or backward"
    assert len(direction.collections) == len(velocity.collections) == 4  # bands
    assert len(direction.lines) == len(velocity.lines) + 1  # the variant of ant direction
    assert [line.get_xdata()[-1] for line in velocity.lines if len(line.get_xdata())] == [3] * 8  # the oracles too
