"""Figure 7: more sinusoids, MAML against a pretrained network, K = 5 and 10 (Appendix B)."""

import sys

from maml_tf.cli import exit_codes
from reproduce.common import parse_arguments, save_figure


def draw(arguments, results):
    """Draws the figure from the results of the three arms and their weights."""
    from reproduce.comparison import figures
    from reproduce.sinusoid import drawn_row

    rows = [drawn_row(arguments, results, K, index) for K in (5, 10) for index in (2, 3, 4)]
    save_figure(figures.adaptation(rows), "fig7", arguments)


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from reproduce.compare import compare_only
    from reproduce.sinusoid import measure_arms

    draw(arguments, measure_arms(arguments))
    return compare_only(["sinusoid_maml_below_pretrained"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
