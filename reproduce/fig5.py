"""Figure 5: locomotion, returns while adapting. `python -m reproduce.fig5 half_cheetah_direction [--profile cpu]`."""

import sys

from maml_tf.cli import exit_codes
from reproduce.common import parse_arguments, save_figure

PANELS = ("half_cheetah_velocity", "half_cheetah_direction", "ant_velocity", "ant_direction")
CLAIMS = (
    "paper_bound_cheetah_velocity_random",
    "paper_bound_ant_velocity_random",
    "order_locomotion",
    "pretrain_worse_than_random",
)


def main():
    parser = parse_arguments(__doc__.splitlines()[0])
    parser.add_argument("panels", nargs="*", metavar="PANEL", help=f"{', '.join(PANELS)}; all by default")
    arguments = parser.parse_args()
    for name in arguments.panels:
        if name not in PANELS:
            parser.error(f"{name!r} is no panel; there are {', '.join(PANELS)}")
    from reproduce.compare import compare_only
    from reproduce.comparison import figures_rl
    from reproduce.policies import answered, measure_arms, panel

    panels = arguments.panels or PANELS
    measured = {name: measure_arms(name, arguments) for name in panels}
    for name, results in measured.items():
        save_figure(figures_rl.returns([panel(name, results)]), f"fig5_{name}", arguments)
    if len(measured) == len(PANELS):
        whole = figures_rl.returns([panel(name, results) for name, results in measured.items()])
        save_figure(whole, "fig5", arguments)
    return compare_only([*(id_ for name in panels for id_ in answered(name, arguments)), *CLAIMS])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
