"""Figure 7: more sinusoids, MAML against a pretrained network, K = 5 and 10 (Appendix B)."""

import sys

from common import FIGURES, exit_codes, parse_arguments


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from compare import compare_only
    from sinusoid import drawn_row, measure_arms

    from maml_tf.reporting import figures

    results = measure_arms(arguments)
    rows = [drawn_row(arguments, results, K, index) for K in (5, 10) for index in (2, 3, 4)]
    figures.save(figures.adaptation(rows), FIGURES / "fig7.png")
    print(f"drawn: {FIGURES / 'fig7.png'}")
    return compare_only(["sinusoid_maml_below_pretrained"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
