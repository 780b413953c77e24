"""Figure 2: adapting to a sinusoid, MAML against a pretrained network; also with all points in one half."""

import sys

from maml_tf.cli import exit_codes
from reproduce.common import parse_arguments, save_figure


def draw(arguments, results):
    """Draws the figure from the results of the three arms and their weights."""
    from reproduce.comparison import figures
    from reproduce.sinusoid import drawn_row

    rows = [
        drawn_row(arguments, results, K=5, index=0),
        drawn_row(arguments, results, K=10, index=0),
        drawn_row(arguments, results, K=10, index=0, halves=True),
    ]
    save_figure(figures.adaptation(rows), "fig2", arguments)


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from reproduce.compare import compare_only
    from reproduce.sinusoid import measure_arms

    draw(arguments, measure_arms(arguments))
    return compare_only(["sinusoid_other_half", "sinusoid_maml_below_pretrained"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
