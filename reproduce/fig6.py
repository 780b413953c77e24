"""Figure 6: error on the sinusoids after each gradient step, K = 5, 10 and 20 (Appendix B)."""

import sys

from common import FIGURES, exit_codes, parse_arguments


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from compare import compare_only, paper_points
    from sinusoid import measure_arms

    from maml_tf.reporting import figures

    results = measure_arms(arguments)
    panels = {K: {arm: result.curves[f"{K}_shot"] for arm, result in results.items()} for K in (5, 10, 20)}
    figures.save(figures.learning_curves(panels, paper_points("sinusoid", panels)), FIGURES / "fig6.png")
    print(f"drawn: {FIGURES / 'fig6.png'}")
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
