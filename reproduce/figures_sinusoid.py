"""Figures 2, 3, 6, 7 and Table 2 in one go, from the same trainings."""

import sys

from maml_tf.cli import exit_codes
from reproduce import fig2, fig3, fig6, fig7
from reproduce.common import parse_arguments


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from reproduce.sinusoid import measure_arms

    results = measure_arms(arguments)
    for figure in (fig2, fig3, fig6, fig7):
        figure.draw(arguments, results)
    return 0


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
