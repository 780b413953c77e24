"""Table 2: multi-task parameter averaging against pretraining and MAML, K = 5 (Appendix C.1).

The multi-task rows take longer than the rest of the sinusoid together: they are compared from their committed results,
and trained with `--multitask`.
"""

import sys

from maml_tf.cli import exit_codes
from reproduce.common import measure, parse_arguments

MULTITASK = ("no_reg", "l2_reg", "reg_to_mean")


def main():
    parser = parse_arguments(__doc__.splitlines()[0])
    parser.add_argument("--multitask", action="store_true", help="train the multi-task rows too")
    arguments = parser.parse_args()
    from reproduce.compare import compare_only
    from reproduce.sinusoid import measure_arms

    measure_arms(arguments)
    if arguments.multitask:
        for row in MULTITASK:
            measure(f"sinusoid_multitask_{row}", arguments)
    return compare_only(["sinusoid_5shot", "sinusoid_check", "order_table2"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
