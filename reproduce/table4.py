"""Table 4: MAML against adapting a context vector only, 2D navigation (Appendix C.2)."""

import sys

from maml_tf.cli import exit_codes, print_curves
from reproduce.common import parse_arguments

ARMS = ("maml", "context_vector")


def main():
    arguments = parse_arguments(__doc__).parse_args()
    from reproduce.compare import compare_only
    from reproduce.policies import answered, measure_arms

    for arm, result in measure_arms("point_navigation", arguments, ARMS).items():
        print_curves(f"{arm}, mean return by gradient steps,", result.curves)
    return compare_only([*answered("point_navigation", arguments, ARMS)])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
