"""Figure 3: error on the sinusoids after each gradient step, K = 10."""

import sys

from common import FIGURES, exit_codes, parse_arguments


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from compare import compare_only, paper_points
    from sinusoid import measure_arms

    from maml_tf.reporting import figures

    results = measure_arms(arguments)
    panels = {K: {arm: result.curves[f"{K}_shot"] for arm, result in results.items()} for K in (10,)}
    figures.save(figures.learning_curves(panels, paper_points("sinusoid", panels)), FIGURES / "fig3.png")
    print(f"drawn: {FIGURES / 'fig3.png'}")
    return compare_only(["sinusoid_10shot", "sinusoid_maml_below_pretrained", "sinusoid_oracle_lowest"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
