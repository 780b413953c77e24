"""Figure 6: error on the sinusoids after each gradient step, K = 5, 10 and 20 (Appendix B)."""

import sys

from maml_tf.cli import exit_codes
from reproduce.common import parse_arguments, save_figure


def draw(arguments, results):
    """Draws the figure from the results of the three arms."""
    from reproduce.compare import paper_points
    from reproduce.comparison import figures

    panels = {K: {arm: result.curves[f"{K}_shot"] for arm, result in results.items()} for K in (5, 10, 20)}
    figure = figures.learning_curves(panels, paper_points("sinusoid", panels))
    save_figure(figure, "fig6", arguments)


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from reproduce.compare import compare_only
    from reproduce.sinusoid import measure_arms

    draw(arguments, measure_arms(arguments))
    return compare_only(
        [
            "sinusoid_5shot_maml",
            "sinusoid_5shot_pretrained",
            "sinusoid_10shot",
            "sinusoid_20shot",
            "sinusoid_keeps_improving",
            "sinusoid_more_shots_help",
        ]
    )


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
