"""Table 1: few-shot classification. `python -m reproduce.table1 [omniglot_5way_1shot_conv ...] [--profile cpu]`.

Trains the cells that are named, or all, and prints them. `--table` trains nothing and prints the whole table.
"""

import sys

from maml_tf.cli import exit_codes, print_curves
from reproduce.common import measure, parse_arguments, spec_of

CELLS = [
    *(f"omniglot_5way_{shots}shot_{network}" for network in ("nonconv", "conv") for shots in (1, 5)),
    *(f"omniglot_20way_{shots}shot_conv" for shots in (1, 5)),
    "miniimagenet_5way_baselines",
    *(f"miniimagenet_5way_{shots}shot_maml{order}" for order in ("_first_order", "") for shots in (1, 5)),
]
CLAIMS = {"Table 1": ("first_order_close", "first_order_speed"), "Table 3": ("context_below_maml",)}


def print_table(where):
    """Prints everything of one of the paper's tables: its own numbers, those it cites, and ours."""
    from reproduce.comparison import load_comparison
    from reproduce.comparison.tables import full_table

    comparison = load_comparison()
    ids = {row.target.id for row in comparison.rows if row.target.where == where}
    print(full_table(comparison.restricted_to(ids | set(CLAIMS[where]))))


def train_and_compare(cells, arguments):
    """Trains and tests cells unless that is done, prints their curves and verdicts; returns the exit code."""
    from maml_tf.runtime import configure_runtime
    from reproduce.compare import compare_only

    specs = [spec_of(cell, arguments) for cell in cells]  # all are read before the first is trained
    configure_runtime()
    for cell in cells:
        result = measure(cell, arguments)
        print_curves(f"{cell}, accuracy in percent by gradient steps (0: on the support set),", result.curves)
    return compare_only([target for spec in specs for target in spec.targets])


def main():
    parser = parse_arguments(__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"{', '.join(CELLS)}; all by default")
    parser.add_argument("--table", action="store_true", help="train nothing, print the whole table")
    arguments = parser.parse_args()
    for cell in arguments.cells:
        if cell not in CELLS:
            parser.error(f"{cell!r} is no cell; there are {', '.join(CELLS)}")
    code = 0 if arguments.table else train_and_compare(arguments.cells or CELLS, arguments)
    if not arguments.cells:
        print_table("Table 1")
    return code


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
