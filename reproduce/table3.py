"""Table 3: MAML against adapting a context vector alone, on Omniglot (Appendix C.2)."""

import sys

from maml_tf.cli import exit_codes
from reproduce.common import parse_arguments
from reproduce.table1 import print_table, train_and_compare

SHOTS = (1, 5)


def main():
    arguments = parse_arguments(__doc__).parse_args()
    cells = [f"omniglot_5way_{shots}shot_{arm}" for shots in SHOTS for arm in ("context_vector", "conv")]
    code = train_and_compare(cells, arguments)
    print_table("Table 3")
    return code


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
