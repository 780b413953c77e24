"""Figure 2: adapting to a sinusoid, MAML against a pretrained network; also with all points in one half."""

import sys

from common import FIGURES, exit_codes, parse_arguments


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from compare import compare_only
    from sinusoid import drawn_row, measure_arms

    from maml_tf.reporting import figures

    results = measure_arms(arguments)
    rows = [
        drawn_row(arguments, results, K=5, index=0),
        drawn_row(arguments, results, K=10, index=0),
        drawn_row(arguments, results, K=10, index=1, halves=True),
    ]
    figures.save(figures.adaptation(rows), FIGURES / "fig2.png")
    print(f"drawn: {FIGURES / 'fig2.png'}")
    return compare_only(["sinusoid_other_half", "sinusoid_maml_below_pretrained"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
